-- opening(job, token, what, by) → how often planning this source was begun and not ended, counting this time (by = 1); by = -1 ends
-- it. -1 when the step is not ours. A try that ended in this source is held against the source, and not against the step.
local job, token, what, by = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if get(job, 'plan_token') ~= token then return -1 end
if by > 0 then
  local begun = redis.call('HINCRBY', job_key(job, 'opening'), what, by)
  if begun > 1 then redis.call('HDEL', job_key(job), 'plan_tries') end
  return begun
end
redis.call('HDEL', job_key(job, 'opening'), what)
return 0
