-- assemble_renew(job, "item part", token, lease_ms) → 1 if the caller still holds the item, for another lease
local member, token, lease_ms = ARGV[1] .. ' ' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HGET', 'mr:assembling:tokens', member) ~= token then return 0 end
redis.call('ZADD', 'mr:assembling', 'XX', now + lease_ms, member)
return 1
