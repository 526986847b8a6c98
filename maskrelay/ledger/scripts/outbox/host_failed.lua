-- host_failed(host, after, base_ms, most_ms) → the cool-down of the host in milliseconds, 0 if there is none yet
--
-- The cool-down begins with the failure number `after` in a row, and doubles with each further
-- failure.
local key, after, base, most = 'mr:failing:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local failures = redis.call('INCR', key)
redis.call('PEXPIRE', key, most * 4)
redis.call('ZADD', 'mr:failing', now + most * 4, ARGV[1])
redis.call('ZREMRANGEBYSCORE', 'mr:failing', '-inf', now)
if failures < after then return 0 end
local cool_down = math.min(base * 2 ^ math.min(failures - after, 20), most)
redis.call('SET', 'mr:resting:' .. ARGV[1], 1, 'PX', string.format('%d', cool_down))
return cool_down
