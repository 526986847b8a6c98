-- ARGV: watch, hash of the folder's URL. Returns what was seen of the folder by this look or by the one before, or nil.
return redis.call('HGET', watch_key(ARGV[1], 'seen_now'), ARGV[2]) or redis.call('HGET', watch_key(ARGV[1], 'seen'), ARGV[2])
