-- begin_comparison(period_ms, token) → 1 if storage and ledger should be compared now
--
-- They should be if Redis was restarted, failed over, flushed or restored since they were last
-- compared, or if the period has passed, unless a comparison in progress was heard of within the
-- last half minute.
local period, token, id = tonumber(ARGV[1]), ARGV[2], run_id()
local last = redis.call('HMGET', 'mr:sweep', 'reconciled_run', 'reconciled')
if last[1] == id and tonumber(last[2]) <= now and now - tonumber(last[2]) < period then return 0 end
local latest = redis.call('ZRANGE', 'mr:reconciling', -1, -1, 'WITHSCORES')
if latest[1] and string.sub(latest[1], 1, #id) == id and math.abs(now - tonumber(latest[2])) < 30000 then return 0 end
redis.call('ZADD', 'mr:reconciling', now, id .. ' ' .. token)
redis.call('HSET', 'mr:reconciling:began', id .. ' ' .. token, now)
return 1
