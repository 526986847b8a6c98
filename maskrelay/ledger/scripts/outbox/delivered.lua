-- delivered(member, token, after_ms, charge, place) → 1 if the delivery was ours. after_ms < 0: it is over; else it is due again
-- then, and without charge the attempt was none. place, 'name most' or '': it waits until fewer than most are under way there.
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
