-- count_members(tenant, round, members) → 1 if the recount includes these jobs and uploads now; 0 if it is no longer
--   in progress
local tenant = ARGV[1]
if redis.call('HGET', 'mr:used:' .. tenant, 'round') ~= ARGV[2] then return 0 end
for _, member in ipairs(cjson.decode(ARGV[3])) do recount_usage(tenant, member) end
return 1
