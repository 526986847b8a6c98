-- lock(key, holder, hold_ms) → 1 if nobody held the key, which is now locked by the caller for hold_ms
--
-- A lock that lasts longer than possible was taken before the clock of Redis went back, and is
-- released.
local key, hold_ms = ARGV[1], tonumber(ARGV[3])
if redis.call('PTTL', key) > hold_ms + 1000 then redis.call('UNLINK', key) end
return redis.call('SET', key, ARGV[2], 'NX', 'PX', hold_ms) and 1 or 0
