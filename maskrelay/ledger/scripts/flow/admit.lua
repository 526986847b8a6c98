-- admit(lane, waiter, slot, slot_lease_ms, bytes_up, prompts, candidates, lean)
--   → {verdict, wait_ms, why, endpoint, full}
--
-- lean: the size of the request, by the name of each candidate that gets a lean one; bytes_up: its
-- size for the others. verdict: 1 send, 2 send as the probe (with the canary), 0 wait. waiter:
-- "child:name". Of the candidates that can take the score, the one with the least load for its
-- weight is chosen; `full` is 1 if the score took its last slot. If there is none, `why` and
-- `wait_ms` are those of the endpoint that will be free first, and the request is kept: the script
-- that frees a slot may grant it (grant_next). The waiter learns that too if it asks again, and the
-- lease of its slot then begins anew. The script fails closed: an endpoint whose flow was made under
-- another run of Redis gets nothing for one slot lease, because slots in flight may be lost with it,
-- or until every child has reported what it has in flight (report_slots.lua).
local lane, waiter, slot, slot_lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local bytes_up, prompts, candidates, lean = tonumber(ARGV[5]), tonumber(ARGV[6]), cjson.decode(ARGV[7]), cjson.decode(ARGV[8])
local among = {}
for index, set in ipairs(candidates) do among[index] = set.name end

local function request_at(flow)
  local size = lean[flow.set.name]
  return {
    slot = slot, lease = slot_lease, bytes_up = size or bytes_up, prompts = prompts, lean = size ~= nil, among = among,
  }
end

local function join_queue(flow)
  remove_gone_waiters(flow)
  redis.call('ZADD', flow_key(flow, 'waiters:' .. lane), 'NX', string.format('%.3f', exact), waiter)
  redis.call('ZADD', flow_key(flow, 'seen'), now + SEEN_MS, waiter)
end

-- A waiter that waits for a slot is told when it has one, and asks again only in case the message
-- was lost: the further back it is in the queue, the later.
local function wait_to_be_told(flow, why)
  local before = redis.call('ZRANK', flow_key(flow, 'waiters:' .. lane), waiter)
  return math.min(LONGEST_MS, FALLBACK_MS * math.max(1, math.floor(before / flow.limit))), why
end

-- Return how long to wait for this endpoint and why, or nil when the score may go there.
local function obstacle(flow)
  if now < flow.frozen then return flow.frozen - now, 'frozen' end
  if flow.gate ~= 'open' and now < flow.closed_until then return flow.closed_until - now, 'gate' end
  flow.taken = in_flight(flow)
  local free, before = math.floor(flow.limit) - flow.taken, 0
  if free <= 0 then
    flow.full_at = exact
    return wait_to_be_told(flow, 'slots')
  end
  if flow.gate == 'open' then
    if lane ~= next_lane(flow) then return wait_to_be_told(flow, 'lane') end
    before = redis.call('ZRANK', flow_key(flow, 'waiters:' .. lane), waiter)
    if before >= free then return wait_to_be_told(flow, 'queue') end
  end
  local wait, why = wait_for_size(flow, request_at(flow), before)
  return wait and math.min(wait, LONGEST_MS), why
end

-- Return the load of the endpoint, for comparison. A gate that must be probed is bulk's first
-- choice, and the last choice of an interactive frame, which does not wait for a canary while it
-- can go elsewhere.
local function relative_load(flow)
  if flow.gate ~= 'open' then return lane == 'bulk' and -1 or math.huge end
  return (flow.taken + 1) / (math.floor(flow.limit) * flow.set.weight)
end

local function grant(flow)
  local probe, full = flow.gate ~= 'open', take_slot(flow, request_at(flow))
  if probe then
    flow.gate, flow.closed_until, flow.probe = 'half-open', now + slot_lease, slot
  else
    count_turn(flow, lane)
  end
  return {probe and 2 or 1, 0, '', flow.set.name, full and 1 or 0}
end

-- Return the endpoint at which the slot was granted since the waiter asked before, or nil.
local function granted_at(flows)
  for _, flow in ipairs(flows) do
    if now >= flow.frozen and tonumber(redis.call('ZSCORE', flow_key(flow, 'slots'), slot) or 0) > now then return flow end
  end
end

local flows, best, soonest, reason = {}, nil, math.huge, ''
for index, set in ipairs(candidates) do
  flows[index] = load_flow(set)
  freeze_if_new(flows[index], slot_lease)
end
local granted = granted_at(flows)
if granted then
  redis.call('ZADD', flow_key(granted, 'slots'), now + slot_lease, slot)
  return {granted.probe == slot and 2 or 1, 0, '', granted.set.name, 1}
end
for _, flow in ipairs(flows) do
  join_queue(flow)
  local wait, why = obstacle(flow)
  if wait then
    if wait < soonest then soonest, reason = wait, why end
  elseif not best or relative_load(flow) < relative_load(best) then
    best = flow
  end
end
local verdict = best and grant(best) or {0, math.ceil(math.max(1, soonest)), reason, '', 0}
for _, flow in ipairs(flows) do
  if best then
    leave_line(flow, waiter)
  else
    redis.call('HSET', flow_key(flow, 'requests'), waiter, cjson.encode(request_at(flow)))
  end
end
if best then grant_next(best) end
for _, flow in ipairs(flows) do save_flow(flow) end
return verdict
