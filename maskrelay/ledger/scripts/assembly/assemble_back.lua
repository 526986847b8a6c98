-- assemble_back(job, "item part", token, after_ms, counted) → 1 if the item was still ours and can now be taken again after a while.
-- counted: whether the try stays counted; one that an outage ended does not, whoever holds the item by now.
local member, token, after_ms, counted = ARGV[1] .. ' ' .. ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local tries = tonumber(redis.call('HGET', 'mr:assembling:tries', member) or '0')
if not counted and tries > 0 then redis.call('HINCRBY', 'mr:assembling:tries', member, -1) end
if redis.call('HGET', 'mr:assembling:tokens', member) ~= token then return 0 end
redis.call('ZADD', 'mr:assembling', 'XX', now + after_ms, member)
return 1
