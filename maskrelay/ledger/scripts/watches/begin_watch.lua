-- ARGV: watch, token, lease in milliseconds. Returns 1 if the watch is due and the caller now looks at it, otherwise 0.
if redis.call('EXISTS', watch_key(ARGV[1], 'rests')) == 1 then return 0 end
if not redis.call('SET', watch_key(ARGV[1], 'lease'), ARGV[2], 'NX', 'PX', ARGV[3]) then return 0 end
local woken = watch_key(ARGV[1], 'woken')
redis.call('UNLINK', woken)
return 1
