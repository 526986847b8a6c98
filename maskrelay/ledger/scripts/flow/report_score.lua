-- report_score(endpoint, slot, ended) → the state of the gate
--
-- ended: {kind, overload, keep_slot, frame, retry_after, base, cap, jitter, reason, moved, released,
-- received}, with waits in milliseconds. received: the bytes of the answer. moved: {bytes_up, bytes_down, prompts, body_seconds} of a good score.
-- released: the result of release_slot.lua, if the slot was released before. The slot of a score
-- that may still be in progress is kept until its lease lapses.
local slot, ended = ARGV[2], cjson.decode(ARGV[3])
local flow = load_flow(cjson.decode(ARGV[1]))
local failing = flow_key(flow, 'failing')
local is_probe = flow.gate == 'half-open' and flow.probe == slot

local function count_error()
  if ended.kind == 'good' or ended.kind == 'cancelled' then return end
  local bucket = flow_key(flow, 'errors:' .. math.floor(now / 60000))
  redis.call('HINCRBY', bucket, ended.reason, 1)
  redis.call('EXPIRE', bucket, 360)
end

local function learn(score)
  if ended.moved then learn_transfer(flow, ended.moved) end
  if not score then return end
  if not ended.released and (ended.moved or not ended.keep_slot) then
    correct_tokens(flow, score, ended.moved and ended.moved.bytes_down or ended.received)
  end
  if is_probe then return end
  if ended.kind == 'good' and score.wanted then limit_grows(flow, score, flow.set.most) end
  if ended.overload == 'pending' then limit_refused(flow, score) end
  if ended.overload == 'slow' then limit_overloaded(flow, score) end
  if ended.overload == 'rate' then slow_requests(flow) end
end

local function close(at) flow.gate, flow.closed_until = 'closed', at end

-- A refusal to which the limit or the rate can still respond does not count as a failure.
local function absorbed()
  if ended.retry_after > 0 then return false end
  return ended.overload == 'pending' and flow.limit > 1 or ended.overload == 'rate' and requests_per_s(flow) > 1
end

-- Count the failure. Close the gate after a failed probe, after a denial, for a given Retry-After,
-- and after three failures in a row or three different failed frames.
local function failed()
  flow.failures = flow.failures + 1
  if ended.kind == 'failed' then redis.call('SADD', failing, ended.frame) end
  local in_a_row = ended.kind == 'busy' and flow.failures >= 3 or redis.call('SCARD', failing) >= 3
  if not (is_probe or ended.kind == 'denied' or ended.retry_after > 0 or in_a_row) then return end
  flow.closings = flow.closings + 1
  local pause = math.min(ended.cap, ended.base * 2 ^ math.min(flow.closings - 1, 20)) * ended.jitter
  close(now + math.floor(math.max(ended.retry_after, pause)))
  flow.reason = ended.reason
end

-- While the gate is not open, only its probe changes it. Other scores began before the gate closed;
-- the only news that they can bring is a longer Retry-After.
local function move_gate()
  if ended.kind == 'good' then flow.good = now end
  if ended.kind == 'cancelled' then
    if is_probe then close(now) end
  elseif flow.gate ~= 'open' and not is_probe then
    if ended.retry_after > 0 then close(math.max(flow.closed_until, now + ended.retry_after)) end
  elseif ended.kind == 'good' then
    if is_probe and flow.closings > 1 then flow.excused = now end -- a canary failed too, so no frame was at fault
    flow.failures, flow.closings, flow.gate, flow.reason = 0, 0, 'open', ''
    redis.call('DEL', failing)
  elseif is_probe or not absorbed() then
    failed()
  end
end

local score = score_of(ended.released or end_score(flow, slot, ended.keep_slot))
count_error()
move_gate()
learn(score)
grant_next(flow)
save_flow(flow)
return flow.gate
