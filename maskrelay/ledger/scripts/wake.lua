-- wake(task, wanted, wake-up, ttl_ms) → 1 if a message should be sent: fewer loops run or are woken than are wanted.
local task, wanted, wake_up, ttl_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local loops, woken = 'mr:loops:' .. task, 'mr:woken:' .. task
redis.call('ZREMRANGEBYSCORE', loops, '-inf', now)
redis.call('ZREMRANGEBYSCORE', woken, '-inf', now)
if redis.call('ZCARD', loops) + redis.call('ZCARD', woken) >= wanted then return 0 end
redis.call('ZADD', woken, now + ttl_ms, wake_up)
return 1
