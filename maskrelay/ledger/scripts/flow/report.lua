-- report(endpoint, slot, ended) → the gate's state. ended: {kind, overload, keep_slot, frame, retry_after, base, cap, jitter,
-- reason, moved}, waits in milliseconds; moved: {bytes_up, bytes_down, prompts, body_seconds} of a good score.
-- A slot whose score may still be worked on is kept until it lapses.
local slot, ended = ARGV[2], cjson.decode(ARGV[3])
local flow = load_flow(cjson.decode(ARGV[1]))
local failing = flow_key(flow, 'failing')
local probes = flow.gate == 'half-open' and flow.probe == slot

-- The slot's score, nil when it had lapsed; whether others wanted its slot is of the time before it is free.
local function end_score()
  local known = redis.call('HGET', flow_key(flow, 'scores'), slot)
  local begun, place, refused, answer = string.match(known or '', '^(%S+) (%S+) (%S+) (%S+)$')
  local score = known and {begun = tonumber(begun), place = tonumber(place), refused = tonumber(refused), answer = tonumber(answer)}
  local full = in_flight(flow) >= math.floor(flow.limit) and waiting(flow, 'interactive') + waiting(flow, 'bulk') > 0
  if score then score.wanted = full or flow.full_at >= score.begun end
  if not ended.keep_slot then
    redis.call('ZREM', flow_key(flow, 'slots'), slot)
    redis.call('HDEL', flow_key(flow, 'scores'), slot)
  end
  return score
end

local function count_error()
  if ended.kind == 'good' or ended.kind == 'cancelled' then return end
  local bucket = flow_key(flow, 'errors:' .. math.floor(now / 60000))
  redis.call('HINCRBY', bucket, ended.reason, 1)
  redis.call('EXPIRE', bucket, 360)
end

local function learn(score)
  if ended.moved then learn_transfer(flow, ended.moved) end
  if not score then return end
  if ended.moved or not ended.keep_slot then correct_tokens(flow, score, ended.moved and ended.moved.bytes_down or 0) end
  if probes then return end
  if ended.kind == 'good' and score.wanted then limit_grows(flow, score, flow.set.most) end
  if ended.overload == 'pending' then limit_refused(flow, score) end
  if ended.overload == 'slow' then limit_overloaded(flow, score) end
  if ended.overload == 'rate' then slow_requests(flow) end
end

local function close(at) flow.gate, flow.closed_until = 'closed', at end

-- A refusal that the limit or the rate can still answer is no failure.
local function absorbed()
  if ended.retry_after > 0 then return false end
  return ended.overload == 'pending' and flow.limit > 1 or ended.overload == 'rate' and requests_per_s(flow) > 1
end

-- Counts the failure; closes the gate for the probe's, for a denial, for as long as it was told to wait, and after three
-- failures in a row or three different frames.
local function failed()
  flow.failures = flow.failures + 1
  if ended.kind == 'failed' then redis.call('SADD', failing, ended.frame) end
  local in_a_row = ended.kind == 'busy' and flow.failures >= 3 or redis.call('SCARD', failing) >= 3
  if not (probes or ended.kind == 'denied' or ended.retry_after > 0 or in_a_row) then return end
  flow.closings = flow.closings + 1
  local pause = math.min(ended.cap, ended.base * 2 ^ math.min(flow.closings - 1, 20)) * ended.jitter
  close(now + math.floor(math.max(ended.retry_after, pause)))
  flow.reason = ended.reason
end

-- While the gate is not open only its probe moves it: what other scores say began before it closed, and a longer
-- Retry-After is all that is new in it.
local function move_gate()
  if ended.kind == 'good' then flow.good = now end
  if ended.kind == 'cancelled' then
    if probes then close(now) end
  elseif flow.gate ~= 'open' and not probes then
    if ended.retry_after > 0 then close(math.max(flow.closed_until, now + ended.retry_after)) end
  elseif ended.kind == 'good' then
    if probes and flow.closings > 1 then flow.excused = now end -- a canary failed too: it was no frame's fault
    flow.failures, flow.closings, flow.gate, flow.reason = 0, 0, 'open', ''
    redis.call('DEL', failing)
  elseif probes or not absorbed() then
    failed()
  end
end

local score = end_score()
count_error()
move_gate()
learn(score)
save_flow(flow)
call_next(flow)
return flow.gate
