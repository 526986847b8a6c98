-- assemble_back(job, "item part", token, after_ms, counted) → 1 if the caller still held the item
--
-- The item can be taken again after the pause. counted: whether the try stays counted. A try that
-- was ended by an outage is not counted, whoever holds the item by now.
local member, token, after_ms, counts_as_try = ARGV[1] .. ' ' .. ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local tries = tonumber(redis.call('HGET', 'mr:assembling:tries', member) or '0')
if not counts_as_try and tries > 0 then redis.call('HINCRBY', 'mr:assembling:tries', member, -1) end
if redis.call('HGET', 'mr:assembling:tokens', member) ~= token then return 0 end
redis.call('ZADD', 'mr:assembling', 'XX', now + after_ms, member)
return 1
