-- end_reported(job) → 1 if the ledger knows the job
--
-- Records when the last event of the job was delivered or given up. The first call counts.
local job = ARGV[1]
if not get(job, 'state') then return 0 end
redis.call('HSETNX', job_key(job), 'told', now)
return 1
