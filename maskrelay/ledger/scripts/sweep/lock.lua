-- lock(key, holder, hold_ms, longest_ms) → 1 if nobody held the key, which is now locked by the caller for hold_ms
--
-- longest_ms: the longest time for which anyone locks the key. A lock that lasts longer was taken
-- before the clock of Redis went back, and is released.
local key, hold_ms, longest_ms = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('PTTL', key) > longest_ms + 1000 then redis.call('UNLINK', key) end
return redis.call('SET', key, ARGV[2], 'NX', 'PX', hold_ms) and 1 or 0
