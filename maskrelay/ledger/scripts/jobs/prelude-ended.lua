-- Jobs that are cancelled or deleted while they have no record. A request with an idempotency key may be accepting the
-- job: the job exists in storage, and its record is about to be created. The new record must not undo the end.
--
--   mr:ended:{job}   'deleted', or 'cancelled ' and the reason

-- No request takes as long. Later, the comparison of storage with the ledger makes up for it.
local ENDED_MS = 900000

local function ended_key(job) return 'mr:ended:' .. job end

local function end_before_record(job, how) redis.call('SET', ended_key(job), how, 'PX', ENDED_MS) end

-- Stop new claims. Frames in progress may still settle.
local function cancel_job(job, reason)
  if not move(job, 'cancelling') then return end
  set(job, 'cancel', reason)
  redis.call('UNLINK', job_key(job, 'due'), job_key(job, 'suspects'))
  end_step('plan', job)
  make_unclaimable(job)
  finish_if_done(job)
end
