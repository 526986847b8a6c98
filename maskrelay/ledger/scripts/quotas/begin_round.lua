-- begin_round(tenant, round) → 1; begins a recount of the tenant's usage, and ends the one before without effect
local used = 'mr:used:' .. ARGV[1]
redis.call('HSET', used, 'round', ARGV[2])
for _, name in ipairs(USAGE_FIELDS) do redis.call('HDEL', used, 'next_' .. name) end
return 1
