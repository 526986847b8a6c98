-- enter_host(host, token, most, lease_ms) → 1 if fewer than `most` callbacks to the host are in progress
local key = 'mr:callbacks:' .. ARGV[1]
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%.0f', now + 2 * ARGV[4]), '+inf') -- the clock of Redis went back
if redis.call('ZCARD', key) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', key, now + ARGV[4], ARGV[2])
redis.call('PEXPIRE', key, ARGV[4])
return 1
