-- ARGV: watch, token, lease in milliseconds. Returns 1 if the caller still holds the lease, which is renewed.
local lease = watch_key(ARGV[1], 'lease')
if redis.call('GET', lease) ~= ARGV[2] then return 0 end
redis.call('PEXPIRE', lease, ARGV[3])
return 1
