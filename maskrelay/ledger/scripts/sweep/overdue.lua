-- overdue(most) → jobs whose deadline has passed and that are not over, the earliest first
--
-- Deadlines of jobs that are over are removed.
local jobs = {}
for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:deadlines', '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))) do
  if is_over(job) then redis.call('ZREM', 'mr:deadlines', job) else jobs[#jobs + 1] = job end
end
return jobs
