-- announce(member, traceparent or '') → 1
--
-- The event waits to be delivered. An event that is being delivered is left as it is.
if redis.call('ZADD', 'mr:outbox', 'NX', 0, ARGV[1]) == 1 and ARGV[2] ~= '' then
  redis.call('HSET', 'mr:outbox:traces', ARGV[1], ARGV[2])
end
return 1
