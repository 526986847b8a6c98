-- told(job) → 1 if the ledger knows the job: every event of it is over since now, or since it was first said.
local job = ARGV[1]
if not get(job, 'state') then return 0 end
redis.call('HSETNX', job_key(job), 'told', now)
return 1
