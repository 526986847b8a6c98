-- Prepended to every script of this folder, after the prelude of the ledger.
--
--   set   the settings of an endpoint: {name, start, most, per_s, bytes_per_s, weight}
--   flow  the hash of an endpoint, with defaults for missing fields (see also prelude-limit.lua and
--         prelude-tokens.lua)
local FALLBACK_MS, LONGEST_MS = 250, 2000
local SEEN_MS = 3000 -- more than LONGEST_MS, so that a waiter that asks again in time keeps its position
local GONE_MOST = 30 -- waiters removed in one call; the next call continues
local LANES = {'interactive', 'bulk'}
local TEXT_FIELDS = {run_id = true, gate = true, reason = true, probe = true}

local function flow_key(flow, part) return 'mr:flow:' .. flow.set.name .. ':' .. part end

local function new_flow(set)
  return {
    run_id = '', frozen = 0, turns = 0, gate = 'open', closed_until = 0, probe = '', reason = '', failures = 0,
    closings = 0, good = 0, excused = 0, full_at = 0,
    limit = set.start, ceiling = set.most, step = 1, proofs = 0, probe_at = 0, gap = 0, cut_at = 0, refused = 0,
    next_at = 0, bytes_at = 0, per_s = set.per_s, slowed_at = 0, second = 0, begun = 0, before = 0,
    bytes_per_s = set.bytes_per_s, pace = 0, window = 0, moved = 0, per_prompt = 1.4e6, per_prompt_lean = 3e4,
  }
end

local function load_flow(set)
  local flow, stored = new_flow(set), new_flow(set) -- a default is not saved, because the setting may change
  local fields = redis.call('HGETALL', 'mr:flow:' .. set.name)
  for index = 1, #fields, 2 do
    local field, value = fields[index], fields[index + 1]
    flow[field] = TEXT_FIELDS[field] and value or tonumber(value)
    stored[field] = flow[field]
  end
  -- The clock of Redis may have gone back since these moments were written.
  for _, past in ipairs({'good', 'excused', 'full_at', 'slowed_at', 'cut_at', 'window'}) do
    flow[past] = math.min(flow[past], exact)
  end
  flow.second = math.min(flow.second, math.floor(now / 1000))
  for _, future in ipairs({'closed_until', 'probe_at', 'bytes_at', 'next_at'}) do
    if is_far(flow[future]) and not is_far(flow.frozen) then flow[future] = now end
  end
  flow.limit, flow.ceiling = math.min(flow.limit, set.most), math.min(flow.ceiling, set.most)
  flow.set, flow.stored = set, stored
  return flow
end

local function save_flow(flow)
  local changes = {}
  for field in pairs(new_flow(flow.set)) do
    if flow[field] ~= flow.stored[field] then
      changes[#changes + 1] = field
      changes[#changes + 1] = flow[field]
    end
  end
  if #changes > 0 then redis.call('HSET', 'mr:flow:' .. flow.set.name, unpack(changes)) end
end

-- If the flow was made under another run of Redis, or was lost, then slots in flight may be lost
-- with it: grant nothing for the time of a slot lease.
local function freeze_if_new(flow, slot_lease)
  local id = run_id()
  -- Slots and a freeze that last longer than a lease were written before the clock of Redis went
  -- back. They last for one lease from now.
  local latest = now + slot_lease
  local far = '(' .. string.format('%.0f', latest + 1000)
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', flow_key(flow, 'slots'), far, '+inf')) do
    redis.call('ZADD', flow_key(flow, 'slots'), latest, slot)
  end
  if flow.frozen > latest + 1000 then flow.frozen, flow.next_at, flow.bytes_at = latest, latest, latest end
  if flow.run_id == id then return end
  local thaw = now + slot_lease
  flow.run_id, flow.frozen, flow.next_at, flow.bytes_at = id, thaw, thaw, thaw
end

-- Return how many slots are taken. Slots whose lease has lapsed are removed.
local function in_flight(flow)
  local slots = flow_key(flow, 'slots')
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', slots, '-inf', now)) do
    redis.call('ZREM', slots, slot)
    redis.call('HDEL', flow_key(flow, 'scores'), slot)
  end
  return redis.call('ZCARD', slots)
end

local function leave_line(flow, waiter)
  redis.call('ZREM', flow_key(flow, 'seen'), waiter)
  redis.call('HDEL', flow_key(flow, 'requests'), waiter)
  for _, lane in ipairs(LANES) do redis.call('ZREM', flow_key(flow, 'waiters:' .. lane), waiter) end
end
local function remove_gone_waiters(flow)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', flow_key(flow, 'seen'), '-inf', now, 'LIMIT', 0, GONE_MOST)) do
    leave_line(flow, gone)
  end
  local far = '(' .. string.format('%.0f', now + SEEN_MS + 1000)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', flow_key(flow, 'seen'), far, '+inf', 'LIMIT', 0, GONE_MOST)) do
    leave_line(flow, gone)
  end
end
local function count_waiting(flow, lane) return redis.call('ZCARD', flow_key(flow, 'waiters:' .. lane)) end

-- The lane that is served next. While both lanes wait, interactive gets seven of eight grants.
local function next_lane(flow)
  if count_waiting(flow, 'interactive') == 0 then return 'bulk' end
  return flow.turns >= 7 and count_waiting(flow, 'bulk') > 0 and 'bulk' or 'interactive'
end

-- What a waiter asks for is a request {slot, lease, bytes_up, prompts, lean, among}: the slot to
-- take and its lease, the size of the score, whether it is lean, and the names of the endpoints at
-- which it waits.

local function wait_for_size(flow, request, others)
  return wait_for_tokens(flow, request.bytes_up + answer_bytes(flow, request), others)
end

-- Take the request's slot and tokens. Return whether no slot is left.
local function take_slot(flow, request)
  local taken, answer = in_flight(flow) + 1, answer_bytes(flow, request)
  redis.call('ZADD', flow_key(flow, 'slots'), now + request.lease, request.slot)
  local score = string.format('%.3f %d %d %d', exact, taken, flow.refused, answer)
  redis.call('HSET', flow_key(flow, 'scores'), request.slot, score)
  take_tokens(flow, request.bytes_up + answer)
  return taken >= math.floor(flow.limit)
end

local function count_turn(flow, lane)
  flow.turns = lane == 'interactive' and count_waiting(flow, 'bulk') > 0 and flow.turns + 1 or 0
end

-- Tell the child of a waiter, through the list of the child: "waiter" means that it should ask again,
-- and "endpoint:waiter" says that its slot was granted there. If the message is lost, the waiter
-- asks again after the fallback interval, and is then told that its slot was granted.
local function tell(waiter, endpoint)
  local child, name = string.match(waiter, '^(.*):(.*)$')
  redis.call('RPUSH', 'mr:calls:' .. child, endpoint and endpoint .. ':' .. name or name)
  redis.call('PEXPIRE', 'mr:calls:' .. child, SEEN_MS)
end

-- Return the waiter that is served next and its request, if a slot is free for it.
local function next_waiter(flow, lane)
  if in_flight(flow) >= math.floor(flow.limit) then return end
  local waiter = redis.call('ZRANGE', flow_key(flow, 'waiters:' .. lane), 0, 0)[1]
  if not waiter or tonumber(redis.call('ZSCORE', flow_key(flow, 'seen'), waiter) or 0) <= now then return end
  local request = redis.call('HGET', flow_key(flow, 'requests'), waiter)
  return waiter, request and cjson.decode(request)
end

-- Grant a free slot to the waiter that is next. A waiter for which there are no tokens is told to ask
-- again, and learns then how long to wait. So is one whose request is unknown, one that finds another
-- run of Redis, where nothing may be granted, and the waiter behind it if another slot is free.
local function grant_next(flow)
  if flow.gate ~= 'open' or now < flow.frozen then return end
  remove_gone_waiters(flow)
  local lane = next_lane(flow)
  local waiter, request = next_waiter(flow, lane)
  if request and flow.run_id == run_id() and not wait_for_size(flow, request, 0) then
    take_slot(flow, request)
    for _, name in ipairs(request.among) do leave_line({set = {name = name}}, waiter) end
    count_turn(flow, lane)
    tell(waiter, flow.set.name)
    waiter = next_waiter(flow, next_lane(flow))
  end
  if waiter then tell(waiter) end
end

-- End the score of a slot, and free the slot unless it is kept. Return the record of the score,
-- "begun place refused answer wanted", or nil if the slot had lapsed. `wanted` says whether others
-- waited for the slot, which is decided before the slot is free.
local function end_score(flow, slot, keep_slot)
  local stored = redis.call('HGET', flow_key(flow, 'scores'), slot)
  local full = in_flight(flow) >= math.floor(flow.limit) and count_waiting(flow, 'interactive') + count_waiting(flow, 'bulk') > 0
  if not keep_slot then
    redis.call('ZREM', flow_key(flow, 'slots'), slot)
    redis.call('HDEL', flow_key(flow, 'scores'), slot)
  end
  if not stored then return nil end
  local begun = tonumber(string.match(stored, '^%S+'))
  return stored .. ((full or flow.full_at >= begun) and ' 1' or ' 0')
end

local function score_of(record)
  local begun, place, refused, answer, wanted = string.match(record or '', '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  return begun and {
    begun = tonumber(begun), place = tonumber(place), refused = tonumber(refused), answer = tonumber(answer),
    wanted = wanted == '1',
  }
end
