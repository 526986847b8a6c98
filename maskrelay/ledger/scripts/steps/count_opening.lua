-- count_opening(job, token, what, by) → how often planning began to open this source without coming to an end, or -1 unless
--   the caller holds the step
--
-- by = 1 counts another time, by = -1 records that it ended. A try that died while it opened this
-- source counts against the source, not against the step.
local job, token, what, by = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if get(job, 'plan_token') ~= token then return -1 end
if by > 0 then
  local begun = redis.call('HINCRBY', job_key(job, 'opening'), what, by)
  if begun > 1 then redis.call('HDEL', job_key(job), 'plan_tries') end
  return begun
end
redis.call('HDEL', job_key(job, 'opening'), what)
return 0
