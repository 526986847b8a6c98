-- lapse(lease_ms, most) → {lapsed, condemned, more}
--
-- Takes back the claims whose worker was not heard of in time. more: there is more than one call
-- handles, so the script should be called again. The death of a worker counts against a frame only
-- if the frame was claimed alone. After two deaths the frame is poisoned (`condemned`): it is
-- claimed anew for the caller, which writes its outcome. After a change of run_id, or when nobody
-- swept for longer than a lease, every lease is extended once.
local LEASES_MOST, EFFORT_MOST = 200, 40
local lease_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local sweep = redis.call('HMGET', 'mr:sweep', 'run_id', 'last', 'extend_to', 'back_ms', 'back_from')
local id, extend_to, back_ms, back_from = run_id(), tonumber(sweep[3]), tonumber(sweep[4]), tonumber(sweep[5])
redis.call('HSET', 'mr:sweep', 'run_id', id, 'last', now)
local last = tonumber(sweep[2] or '0')
if now < last - 1000 then back_ms, back_from = last - now, now end

-- The clock of Redis went back: what is due at a later moment becomes due as much earlier. Pages go
-- from the earliest to the latest moment, and what was moved is before the next page.
if back_ms then
  local moved = {}
  local waiting = redis.call('ZRANGEBYSCORE', 'mr:outbox', back_from, '+inf', 'WITHSCORES', 'LIMIT', 0, LEASES_MOST)
  for index = 1, #waiting, 2 do
    back_from = tonumber(waiting[index + 1])
    moved[index], moved[index + 1] = string.format('%.0f', back_from - back_ms), waiting[index]
  end
  if #moved > 0 then redis.call('ZADD', 'mr:outbox', unpack(moved)) end
  if #moved == 2 * LEASES_MOST then
    redis.call('HSET', 'mr:sweep', 'back_ms', back_ms, 'back_from', string.format('%.0f', back_from))
  else
    redis.call('HDEL', 'mr:sweep', 'back_ms', 'back_from')
    back_ms = nil
  end
end

-- Let these leases end at another moment. Returns whether they fill a page, so that there may be
-- more of them.
local function move_leases(tokens, to)
  local leases = {}
  for _, token in ipairs(tokens) do leases[#leases + 1], leases[#leases + 2] = to, token end
  if #leases > 0 then redis.call('ZADD', 'mr:leases', unpack(leases)) end
  return #tokens == LEASES_MOST
end

-- A lease that ends later than possible begins anew.
local far = '(' .. string.format('%.0f', now + 2 * lease_ms)
local far_left = move_leases(redis.call('ZRANGEBYSCORE', 'mr:leases', far, '+inf', 'LIMIT', 0, LEASES_MOST), now + lease_ms)
local unmoved = far_left or back_ms ~= nil
if sweep[1] ~= id or now < last or now - last > lease_ms then
  extend_to = now + lease_ms
  redis.call('HSET', 'mr:sweep', 'extend_to', extend_to)
end

if extend_to then
  local more = move_leases(redis.call('ZRANGEBYSCORE', 'mr:leases', '-inf', '(' .. extend_to, 'LIMIT', 0, LEASES_MOST), extend_to)
  if not more then redis.call('HDEL', 'mr:sweep', 'extend_to') end
  return cjson.encode({lapsed = 0, more = more or unmoved})
end

local condemned, lapsed, effort, jobs = {}, 0, 0, {}

local function count_death(job, frame, claim, token)
  local record = failure_record(job, frame)
  if claim.alone then
    record.deaths = record.deaths + 1
    save_failure_record(job, frame, record)
  end
  if record.deaths < 2 then return requeue(job, frame, now, true) end
  local new_token = token .. '-' .. frame
  lease_claim(new_token, {job = job, first = frame, n = 1, held = '1', alone = true}, lease_ms)
  condemned[#condemned + 1] = {token = new_token, job = job, frame = frame, now_ms = now}
end

local function take_back(token, claim)
  local job = claim.job
  local _, held = string.gsub(claim.held, '1', '')
  drop_claim(token, job)
  if is_over(job) then return end
  redis.call('HINCRBY', job_key(job), 'leased', -held)
  for frame = claim.first, claim.first + claim.n - 1 do
    if holds(claim, frame) and get(job, 'state') == 'running' and not settled(job, frame) then count_death(job, frame, claim, token) end
  end
  effort = effort + claim.n
  jobs[job] = true
end

for _, token in ipairs(redis.call('ZRANGEBYSCORE', 'mr:leases', '-inf', now, 'LIMIT', 0, math.min(most, EFFORT_MOST))) do
  if effort >= EFFORT_MOST then break end
  local claim = load_claim(token)
  if claim then take_back(token, claim) else drop_claim(token) end
  effort, lapsed = effort + 4, lapsed + 1
  count('lapsed claim')
end
for job in pairs(jobs) do frames_changed(job) end
local more = unmoved or lapsed < most and redis.call('ZCOUNT', 'mr:leases', '-inf', now) > 0
return cjson.encode({lapsed = lapsed, condemned = condemned, more = more})
