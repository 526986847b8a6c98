-- ARGV: watch, life of the mark in milliseconds. Makes the watch due now, because an event has arrived.
redis.call('SET', watch_key(ARGV[1], 'woken'), 1, 'PX', ARGV[2])
local rests = watch_key(ARGV[1], 'rests')
redis.call('UNLINK', rests)
