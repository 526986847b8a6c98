-- reconcile(period_ms, token) → 1 if storage and ledger should be compared now: Redis is another one than when they were last
-- compared (restarted, failed over, flushed, restored), or it is time, and no comparison was heard of within half a minute.
local period, token, id = tonumber(ARGV[1]), ARGV[2], run_id()
local known = redis.call('HMGET', 'mr:sweep', 'reconciled_run', 'reconciled')
if known[1] == id and tonumber(known[2]) <= now and now - tonumber(known[2]) < period then return 0 end
local latest = redis.call('ZRANGE', 'mr:reconciling', -1, -1, 'WITHSCORES')
if latest[1] and string.sub(latest[1], 1, #id) == id and math.abs(now - tonumber(latest[2])) < 30000 then return 0 end
redis.call('ZADD', 'mr:reconciling', now, id .. ' ' .. token)
redis.call('HSET', 'mr:reconciling:began', id .. ' ' .. token, now)
return 1
