-- report(endpoint, slot, kind, keep_slot, frame, retry_after_ms, base_ms, cap_ms, jitter, reason) → the gate's state.
-- kind: good; failed (on this frame); busy (closes after three in a row, or for as long as it asks); denied (closes at once).
-- A slot whose score may still be worked on is kept until it lapses. While the gate is not open only its probe moves it: what
-- other scores say began before it closed, and a longer Retry-After is all that is new in it.
local endpoint, slot, kind, keep_slot, frame = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local retry_after, base, cap, jitter, reason = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local flow = 'mr:flow:' .. endpoint
local failing = flow .. ':failing'
if not keep_slot then redis.call('ZREM', flow .. ':slots', slot) end
local known = redis.call('HMGET', flow, 'gate', 'until', 'probe')
local gate, closed_until = known[1] or 'open', tonumber(known[2] or '0')
local probes = gate == 'half-open' and known[3] == slot

local function close(name, at) redis.call('HSET', flow, 'gate', name, 'until', string.format('%.0f', at)) end

if kind == 'cancelled' then
  if probes then close('closed', now) end
  return redis.call('HGET', flow, 'gate') or 'open'
end
if kind == 'good' then redis.call('HSET', flow, 'good', now) end
if gate ~= 'open' and not probes then
  if retry_after > 0 then close('closed', math.max(closed_until, now + retry_after)) end
  return redis.call('HGET', flow, 'gate')
end
if kind == 'good' then
  redis.call('HSET', flow, 'failures', 0, 'closings', 0, 'gate', 'open', 'reason', '')
  redis.call('DEL', failing)
  return 'open'
end

local failures = redis.call('HINCRBY', flow, 'failures', 1)
if kind == 'failed' then redis.call('SADD', failing, frame) end
local in_a_row = kind == 'busy' and failures >= 3 or redis.call('SCARD', failing) >= 3
if not (probes or kind == 'denied' or retry_after > 0 or in_a_row) then return gate end
local closings = redis.call('HINCRBY', flow, 'closings', 1)
local pause = math.min(cap, base * 2 ^ math.min(closings - 1, 20)) * jitter
close('closed', now + math.max(retry_after, pause))
redis.call('HSET', flow, 'reason', reason)
return 'closed'
