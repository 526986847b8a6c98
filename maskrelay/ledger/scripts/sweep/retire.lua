-- retire(job, lifetime_ms) → retired: the record of a job that ended longer ago is dropped; ended: not yet; running; unknown.
-- One that runs is counted anew towards its tenant's quotas: one of an earlier release may not have been.
local job = ARGV[1]
if not get(job, 'state') then return 'unknown' end
if not is_over(job) then
  recount(get(job, 'tenant'), job)
  return 'running'
end
if num(job, 'finished') + ARGV[2] > now then return 'ended' end
redis.call('DEL', job_key(job))
return 'retired'
