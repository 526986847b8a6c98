-- retire(job, lifetime_ms) → 'retired' if the job ended longer ago and its record was deleted; else 'ended', 'running'
--   or 'unknown'
--
-- A running job is counted anew towards the quotas of its tenant, since an earlier release may not
-- have counted it.
local job = ARGV[1]
if not get(job, 'state') then return 'unknown' end
if not is_over(job) then
  recount_usage(get(job, 'tenant'), job)
  return 'running'
end
if num(job, 'finished') + ARGV[2] > now then return 'ended' end
redis.call('DEL', job_key(job))
return 'retired'
