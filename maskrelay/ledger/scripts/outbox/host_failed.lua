-- host_failed(host, after, base_ms, most_ms) → how long the host is left alone now (0: not yet). From the failure `after` in a row
-- on, twice as long each time.
local key, after, base, most = 'mr:failing:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local failures = redis.call('INCR', key)
redis.call('PEXPIRE', key, most * 4)
redis.call('ZADD', 'mr:failing', now + most * 4, ARGV[1])
redis.call('ZREMRANGEBYSCORE', 'mr:failing', '-inf', now)
if failures < after then return 0 end
local rest = math.min(base * 2 ^ math.min(failures - after, 20), most)
redis.call('SET', 'mr:resting:' .. ARGV[1], 1, 'PX', string.format('%d', rest))
return rest
