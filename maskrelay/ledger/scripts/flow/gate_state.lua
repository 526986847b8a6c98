-- gate_state(name) → {gate, reason, closed_for_ms, in_flight, good_ms, excused_ms}
--
-- A gate that may be probed is reported as closed for 0 ms.
local flow = 'mr:flow:' .. ARGV[1]
local fields = redis.call('HMGET', flow, 'gate', 'reason', 'closed_until', 'good', 'frozen', 'excused')
local gate, closed_for = fields[1] or 'open', 0
if gate ~= 'open' then closed_for = math.max(0, tonumber(fields[3] or '0') - now) end
if is_far(now + closed_for) then closed_for = 0 end -- the clock of Redis went back
local frozen = tonumber(fields[5] or '0') - now
if is_far(now + frozen) then frozen = FAR_MS end
if frozen > 0 and frozen > closed_for then gate, closed_for = 'frozen', frozen end
local taken = redis.call('ZCOUNT', flow .. ':slots', '(' .. now, '+inf')
return {gate, fields[2] or '', closed_for, taken, tonumber(fields[4] or '0'), tonumber(fields[6] or '0')}
