-- claim(token, holding, most, lease_ms, lanes, endpoints) → a claim, or {drain}: whether a suspect waits for a child that
--   holds nothing; and in both cases `closed`, for how many milliseconds the gate of each endpoint is closed
--
-- If the gates of all endpoints are closed, nothing is claimed, because nothing can be scored. `more`:
-- whether another claim from these lanes may find frames.
--
-- Tenants are served by deficit round robin, counted in frames: the first tenant moves back by the
-- frames that it gets, so that nobody gets more for having more jobs or longer runs. Of the
-- tenant's jobs, the one whose last claim is longest ago is served. Lanes are tried in the given
-- order; while bulk waits, one claim in eight is for bulk. A suspect is given to a child that holds
-- nothing else, before any other frame. While every child holds frames, one child at a time is
-- asked to finish them (`drain`).
local token, holding, most, lease_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lanes, endpoints = cjson.decode(ARGV[5]), cjson.decode(ARGV[6])
local exactly = string.format('%.3f', exact)
local LOOK_MOST = 32 -- stale entries that one call skips; the next call continues

-- Return the next frame in this set that is due and has no outcome.
local function pop_due(job, kind)
  local key = job_key(job, kind)
  for _ = 1, LOOK_MOST do
    local frame = first_due(key)
    if not frame then return nil end
    redis.call('ZREM', key, frame)
    if not settled(job, frame) then return tonumber(frame) end
  end
end

-- Return the next frame that the cursor has not passed and that has no outcome, and how many frames
-- of the same item to claim with it.
local function from_cursor(job)
  local frames, cursor = num(job, 'frames'), num(job, 'cursor')
  if cursor >= frames or has_too_many_retries(job) then return nil end
  local first = redis.call('BITPOS', job_key(job, 'settled'), 0, cursor, frames - 1, 'BIT')
  if first < 0 then
    set(job, 'cursor', frames)
    return nil
  end
  local span = span_of(job, first)
  local n = 1
  if span then
    local start, length = string.match(span, '(%d+):(%d+)')
    local stop = math.min(start + length, first + most, frames)
    while first + n < stop and not settled(job, first + n) do n = n + 1 end
  end
  set(job, 'cursor', first + n)
  return first, n
end

local function grant(job, lane, first, n, alone)
  redis.call('ZADD', 'mr:line:' .. lane, 'XX', 'INCR', n, get(job, 'tenant'))
  lease_claim(token, {job = job, first = first, n = n, held = string.rep('1', n), alone = alone}, lease_ms)
  set(job, 'served', exactly)
  touch(job)
  make_claimable(job)
  local failure_records = {}
  for frame = first, first + n - 1 do failure_records[#failure_records + 1] = failure_record(job, frame) end
  return {token = token, job = job, lane = lane, tenant = get(job, 'tenant'), first = first, n = n,
    alone = alone, troubles = failure_records, now_ms = now}
end

local function claim_suspect(lane)
  for _ = 1, LOOK_MOST do
    local job = first_due('mr:suspects:' .. lane)
    if not job then return nil end
    local frame = pop_due(job, 'suspects')
    if frame then return grant(job, lane, frame, 1, true) end
    make_claimable(job)
  end
end

-- Return the job of the first tenant that is served next. Tenants without such a job leave the queue.
local looks_left = 0
local function first_job(lane)
  local line = 'mr:line:' .. lane
  while looks_left > 0 do
    looks_left = looks_left - 1
    local tenant = redis.call('ZRANGE', line, 0, 0)[1]
    if not tenant then return nil end
    local job = next_job(lane, tenant)
    if job then return job end
    redis.call('ZREM', line, tenant)
    schedule_tenant(lane, tenant)
  end
end

local function claim_next(lane)
  looks_left = admit_due_tenants(lane) and LOOK_MOST or 0
  while looks_left > 0 do
    local job = first_job(lane)
    if not job then return nil end
    local first, n = pop_due(job, 'due'), 1
    if not first then first, n = from_cursor(job) end
    if first then return grant(job, lane, first, n, false) end
    make_claimable(job)
  end
end

-- Claim frames. Return the claim, or nil and whether a suspect waits for a child that holds nothing.
local function claim_any()
  local suspects_wait = false
  for _, lane in ipairs(lanes) do
    local claim = holding == 0 and claim_suspect(lane)
    if claim then return claim end
    suspects_wait = suspects_wait or first_due('mr:suspects:' .. lane) ~= nil
  end
  if redis.call('PTTL', 'mr:drain') > 30000 then redis.call('UNLINK', 'mr:drain') end
  if suspects_wait and redis.call('SET', 'mr:drain', token, 'NX', 'PX', 30000) then return nil, true end

  local turns = tonumber(redis.call('GET', 'mr:turns') or '0')
  if lanes[1] == 'interactive' and turns >= 7 then lanes = {'bulk', 'interactive'} end
  for _, lane in ipairs(lanes) do
    local claim = claim_next(lane)
    if claim then
      local bulk_waits = lane == 'interactive' and admit_due_tenants('bulk')
      redis.call('SET', 'mr:turns', bulk_waits and turns + 1 or 0)
      return claim
    end
  end
  return nil, suspects_wait
end

local function may_find_more()
  looks_left = LOOK_MOST
  for _, lane in ipairs(lanes) do
    if first_due('mr:suspects:' .. lane) or (admit_due_tenants(lane) and first_job(lane)) then return true end
  end
  return looks_left == 0
end

local closed, all_closed = {}, #endpoints > 0
for index, name in ipairs(endpoints) do
  local _, _, closed_for = gate_of(name)
  closed[index], all_closed = closed_for, all_closed and closed_for > 0
end
if all_closed then return cjson.encode({drain = false, closed = closed}) end
local found, drain = claim_any()
local reply = found or {drain = drain}
reply.closed, reply.more = closed, found ~= nil and may_find_more()
return cjson.encode(reply)
