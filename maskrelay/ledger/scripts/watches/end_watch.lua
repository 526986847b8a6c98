-- ARGV: watch, token, pause in milliseconds. Ends a look. The watch is due after the pause, or at once if an event has
-- arrived meanwhile.
local lease = watch_key(ARGV[1], 'lease')
if redis.call('GET', lease) ~= ARGV[2] then return end
redis.call('UNLINK', lease)
if redis.call('EXISTS', watch_key(ARGV[1], 'woken')) == 0 and tonumber(ARGV[3]) > 0 then
  redis.call('SET', watch_key(ARGV[1], 'rests'), 1, 'PX', ARGV[3])
end
