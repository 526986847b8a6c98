-- unlock(key, holder) → 1 if the holder had the lock, which is released
if redis.call('GET', ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('UNLINK', ARGV[1])
return 1
