-- lock(key, holder, hold_ms) → 1 if nobody holds the key, which is ours then for so long. A hold that lasts longer than it can was
-- begun before Redis' clock went back, and is over.
local key, hold_ms = ARGV[1], tonumber(ARGV[3])
if redis.call('PTTL', key) > hold_ms + 1000 then redis.call('UNLINK', key) end
return redis.call('SET', key, ARGV[2], 'NX', 'PX', hold_ms) and 1 or 0
