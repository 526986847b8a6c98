-- The steps of jobs (planning, finishing, tabulating) in the order in which tenants are served, and the assembly of items.

local function steps_key(kind, tenant) return 'mr:steps:' .. kind .. ':' .. tenant end

-- Give the tenant a position among those that have steps of this kind: that of the first, so that
-- nobody is owed anything for the time in which it had no work. A tenant without steps is removed
-- only when it is first, as in the lanes.
local function enter_step_queue(kind, tenant)
  local line = 'mr:steps:' .. kind
  for _ = 1, 32 do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first or redis.call('EXISTS', steps_key(kind, first)) == 1 then break end
    redis.call('ZREM', line, first)
  end
  redis.call('ZADD', line, 'NX', earliest(line) or 0, tenant)
end

-- Move the tenant back by the time that the job's step took since it was last charged. A step that
-- nobody holds is not charged. `most` bounds the time of a step whose holder died.
local function charge_step(kind, job, most)
  local since = num(job, kind .. '_since')
  if since == 0 then return end
  local took = math.max(0, math.min(now - since, most or FAR_MS))
  redis.call('ZADD', 'mr:steps:' .. kind, 'XX', 'INCR', took, get(job, 'tenant'))
  redis.call('HDEL', job_key(job), kind .. '_since')
end

-- The job's step is due at this moment, or its lease ends then.
local function schedule_step(kind, job, at)
  local tenant = get(job, 'tenant')
  enter_step_queue(kind, tenant)
  redis.call('ZADD', 'mr:step:' .. kind, at, job)
  redis.call('ZADD', steps_key(kind, tenant), at, job)
end

-- Let the holder of this token have the job's step for a lease. Return the number of its tries,
-- including this one. If the token holds the step already, because the call is repeated after its
-- answer was lost, this is the same try.
local function hold_step(kind, job, token, lease_ms)
  local is_repeated = get(job, kind .. '_token') == token and num(job, kind .. '_since') > 0
  schedule_step(kind, job, now + lease_ms)
  if is_repeated then return num(job, kind .. '_tries') end
  -- The time that the step takes is charged when it has passed. This mark lets whoever takes the
  -- next step meanwhile see that the tenant was served.
  redis.call('ZINCRBY', 'mr:steps:' .. kind, 1, get(job, 'tenant'))
  set(job, kind .. '_token', token, kind .. '_since', now)
  return redis.call('HINCRBY', job_key(job), kind .. '_tries', 1)
end

-- The job no longer has a step of this kind.
local function end_step(kind, job, tenant)
  charge_step(kind, job)
  redis.call('ZREM', 'mr:step:' .. kind, job)
  redis.call('ZREM', steps_key(kind, tenant or get(job, 'tenant')), job)
end

-- The whole-item files of the item are made, or no longer needed. Returns whether the item was the
-- job's last.
local function end_assembly(job, item)
  local member = job .. ' ' .. item
  redis.call('ZREM', 'mr:assembling', member)
  redis.call('HDEL', 'mr:assembling:tokens', member)
  redis.call('HDEL', 'mr:assembling:tries', member)
  return redis.call('SREM', job_key(job, 'assembling'), item) == 1 and redis.call('SCARD', job_key(job, 'assembling')) == 0
end
