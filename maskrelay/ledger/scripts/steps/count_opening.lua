-- count_opening(job, token, what, by, chunk) → how often planning began to open this source without coming to an end, or
--   -1 unless the caller holds the step, or the survey of this chunk if one is given
--
-- by = 1 counts another time, by = -1 records that it ended. A try that died while it opened this
-- source counts against the source, not against the step.
local job, token, what, by, chunk = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local holder = chunk and redis.call('HGET', 'mr:surveying:tokens', job .. ' ' .. chunk) or get(job, 'plan_token')
if holder ~= token then return -1 end
if by > 0 then
  local begun = redis.call('HINCRBY', job_key(job, 'opening'), what, by)
  if begun > 1 then redis.call('HDEL', job_key(job), 'plan_tries') end
  return begun
end
redis.call('HDEL', job_key(job, 'opening'), what)
return 0
