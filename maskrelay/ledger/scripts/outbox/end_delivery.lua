-- end_delivery(member, token, after_ms, charge, place) → 1 if the caller held the delivery
--
-- after_ms < 0: the delivery has ended. Otherwise it is due again after this time, and without
-- `charge` the attempt is not counted. place, 'name most' or '': the delivery waits until fewer
-- than `most` are in progress there.
local member, token, after_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', 'mr:outbox:tokens', member) ~= token then return 0 end
redis.call('HDEL', 'mr:outbox:tokens', member)
redis.call('HDEL', 'mr:outbox:waits', member)
if after_ms < 0 then
  redis.call('ZREM', 'mr:outbox', member)
  redis.call('HDEL', 'mr:outbox:attempts', member)
  redis.call('HDEL', 'mr:outbox:last', member)
  redis.call('HDEL', 'mr:outbox:traces', member)
else
  redis.call('ZADD', 'mr:outbox', now + after_ms, member)
  if ARGV[4] == '0' then redis.call('HINCRBY', 'mr:outbox:attempts', member, -1) end
  if ARGV[5] ~= '' then redis.call('HSET', 'mr:outbox:waits', member, ARGV[5]) end
end
return 1
