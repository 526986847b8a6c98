-- end_round(tenant, round) → 1 if the sums of the recount are the tenant's usage now; 0 if it is no longer in progress
local used = 'mr:used:' .. ARGV[1]
if redis.call('HGET', used, 'round') ~= ARGV[2] then return 0 end
for _, name in ipairs(USAGE_FIELDS) do
  local sum = redis.call('HGET', used, 'next_' .. name) or '0'
  redis.call('HDEL', used, name, 'next_' .. name)
  if sum ~= '0' then redis.call('HSET', used, name, sum) end
end
redis.call('HDEL', used, 'round')
return 1
