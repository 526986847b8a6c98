-- ARGV: watch, token, pause in milliseconds, 1 if the look was complete, life of what was seen in milliseconds. Ends a look.
-- The watch is due after the pause, or at once if an event has arrived meanwhile.
local lease = watch_key(ARGV[1], 'lease')
if redis.call('GET', lease) ~= ARGV[2] then return end
redis.call('UNLINK', lease)
if redis.call('EXISTS', watch_key(ARGV[1], 'woken')) == 0 and tonumber(ARGV[3]) > 0 then
  redis.call('SET', watch_key(ARGV[1], 'rests'), 1, 'PX', ARGV[3])
end
if ARGV[4] == '1' then
  local seen, seen_now = watch_key(ARGV[1], 'seen'), watch_key(ARGV[1], 'seen_now')
  redis.call('UNLINK', seen)
  if redis.call('EXISTS', seen_now) == 1 then
    redis.call('RENAME', seen_now, seen)
    redis.call('PEXPIRE', seen, ARGV[5])
  end
end
