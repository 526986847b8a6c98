-- cancel(job, reason) → the state before
--
-- Stops new claims. Frames in progress may still settle.
local job, reason = ARGV[1], ARGV[2]
local state = get(job, 'state')
if state and move(job, 'cancelling') then
  set(job, 'cancel', reason)
  redis.call('UNLINK', job_key(job, 'due'), job_key(job, 'suspects'))
  end_step('plan', job)
  make_unclaimable(job)
  finish_if_done(job)
end
return state
