-- ARGV: watch, hash of the folder's URL, what is seen of it, its life in milliseconds.
local seen_now = watch_key(ARGV[1], 'seen_now')
redis.call('HSET', seen_now, ARGV[2], ARGV[3])
redis.call('PEXPIRE', seen_now, ARGV[4])
