-- deliver(token, lease_ms) → {member, attempt, traceparent or ''} of a delivery that is due, now ours until the lease lapses, or nil.
local member = redis.call('ZRANGEBYSCORE', 'mr:outbox', '-inf', now, 'LIMIT', 0, 1)[1]
if not member then return nil end
redis.call('ZADD', 'mr:outbox', now + ARGV[2], member)
redis.call('HSET', 'mr:outbox:tokens', member, ARGV[1])
return {member, redis.call('HINCRBY', 'mr:outbox:attempts', member, 1), redis.call('HGET', 'mr:outbox:traces', member) or ''}
