-- gate_state(name) → {gate, reason, closed_for_ms, in_flight, good_ms, excused_ms}
--
-- A gate that may be probed is reported as closed for 0 ms.
local flow = 'mr:flow:' .. ARGV[1]
local gate, reason, closed_for = gate_of(ARGV[1])
local fields = redis.call('HMGET', flow, 'good', 'excused')
local taken = redis.call('ZCOUNT', flow .. ':slots', '(' .. now, '+inf')
return {gate, reason, closed_for, taken, tonumber(fields[1] or '0'), tonumber(fields[2] or '0')}
