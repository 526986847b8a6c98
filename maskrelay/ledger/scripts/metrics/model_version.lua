-- model_version(job, item, proposed) → the model version that scores this item
--
-- The first proposed version counts. For a job that is over or unknown, nothing is written.
local job, item, proposed = ARGV[1], ARGV[2], ARGV[3]
if is_over(job) then return proposed end
redis.call('HSETNX', job_key(job, 'versions'), item, proposed)
return redis.call('HGET', job_key(job, 'versions'), item)
