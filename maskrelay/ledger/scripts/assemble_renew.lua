-- assemble_renew(job, item, token, after_ms) → 1 if the item is still ours. Also gives it back early: after_ms = 0.
local member, token, after_ms = ARGV[1] .. ' ' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HGET', 'mr:assembling:tokens', member) ~= token then return 0 end
redis.call('ZADD', 'mr:assembling', 'XX', now + after_ms, member)
return 1
