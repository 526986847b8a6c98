-- replay(member) → 1
--
-- The event is due now and starts its schedule anew. An event that is being delivered is left to
-- its sender.
local member = ARGV[1]
local due = tonumber(redis.call('ZSCORE', 'mr:outbox', member) or '0')
if due > now and redis.call('HEXISTS', 'mr:outbox:tokens', member) == 1 then return 1 end
redis.call('ZADD', 'mr:outbox', 0, member)
redis.call('HDEL', 'mr:outbox:attempts', member)
return 1
