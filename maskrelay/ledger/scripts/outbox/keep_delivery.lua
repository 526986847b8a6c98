-- keep_delivery(member, token, lease_ms) → 1 if the caller holds the delivery, whose lease then begins anew
if redis.call('HGET', 'mr:outbox:tokens', ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZADD', 'mr:outbox', 'XX', now + ARGV[3], ARGV[1])
return 1
