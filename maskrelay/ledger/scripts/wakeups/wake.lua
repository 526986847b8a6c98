-- wake(task, wanted, wake-up, ttl_ms) → 1 if a message should be sent
--
-- It should be if fewer loops were woken than are wanted, and fewer than two messages of the task
-- are in Celery's list. Messages in that list mean that every child is busy, so more of them would
-- only pile up. The running loops of the segment task count as woken, since each of them takes many
-- frames. A loop of another task is busy with one thing.
local task, wanted, wake_up, ttl_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local loops, woken = 'mr:loops:' .. task, 'mr:woken:' .. task
redis.call('ZREMRANGEBYSCORE', loops, '-inf', now)
redis.call('ZREMRANGEBYSCORE', woken, '-inf', now)
for _, key in ipairs({loops, woken}) do redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%.0f', now + FAR_MS), '+inf') end
local running = task == 'segment' and redis.call('ZCARD', loops) or 0
if running + redis.call('ZCARD', woken) >= wanted or redis.call('LLEN', task) >= 2 then return 0 end
redis.call('ZADD', woken, now + ttl_ms, wake_up)
return 1
