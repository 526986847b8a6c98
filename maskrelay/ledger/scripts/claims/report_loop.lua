-- report_loop(task, loop, ttl_ms) → how many loops of the task are running
--
-- The loop counts as running for ttl_ms, until it is reported again. ttl_ms = 0: it has ended.
local loops, woken = 'mr:loops:' .. ARGV[1], 'mr:woken:' .. ARGV[1]
if tonumber(ARGV[3]) == 0 then
  redis.call('ZREM', loops, ARGV[2])
else
  if redis.call('ZADD', loops, now + ARGV[3], ARGV[2]) == 1 then redis.call('ZPOPMIN', woken) end
end
return redis.call('ZCARD', loops)
