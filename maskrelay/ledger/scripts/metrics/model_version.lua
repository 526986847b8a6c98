-- model_version(job, item, proposed) → the version of the model that scores this item: the first that was proposed. A job that is
-- over, or unknown, gets nothing written.
local job, item, proposed = ARGV[1], ARGV[2], ARGV[3]
if is_over(job) then return proposed end
redis.call('HSETNX', job_key(job, 'versions'), item, proposed)
return redis.call('HGET', job_key(job, 'versions'), item)
