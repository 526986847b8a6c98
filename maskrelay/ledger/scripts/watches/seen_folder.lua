-- ARGV: watch, hash of the folder's URL. Returns what was seen of the folder by this look or by the one before, or false,
-- and the time in milliseconds.
local seen = redis.call('HGET', watch_key(ARGV[1], 'seen_now'), ARGV[2]) or redis.call('HGET', watch_key(ARGV[1], 'seen'), ARGV[2])
local time = redis.call('TIME')
return {seen, time[1] * 1000 + math.floor(time[2] / 1000)}
