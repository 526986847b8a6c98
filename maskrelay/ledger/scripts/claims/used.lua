-- used(lane, tenant, seconds): its files took a decoder so long. A second counts as a frame: the tenant moves back in its lane by
-- as many. One that is not in line has no place to move from.
local lane, tenant, seconds = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('ZADD', 'mr:line:' .. lane, 'XX', 'INCR', seconds, tenant)
return 1
