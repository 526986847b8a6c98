-- add_decoding_time(lane, tenant, seconds) → 1
--
-- The decoder worked for this long on the tenant's files. A second counts as a frame: the tenant
-- moves back in its lane by as many positions. A tenant that is not in the queue has no position to
-- move from.
local lane, tenant, seconds = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('ZADD', 'mr:line:' .. lane, 'XX', 'INCR', seconds, tenant)
return 1
