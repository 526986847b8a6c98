-- step(kind, token, lease_ms) → the job whose step is due, now ours until the lease lapses; nil when none is; '' when all that
-- were looked at are unknown, and it should be called again. Each time a step is taken counts as a try, until it makes progress or an
-- outage is found to be why it did not. Tenants are served in turn by the time that their steps take; of a tenant's steps, the one
-- that has been due the longest.
local kind, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local queue, line = 'mr:step:' .. kind, 'mr:steps:' .. kind
local LOOK_MOST = 100 -- tenants that have steps, none of which is due
local far_ms = 2 * lease_ms + 60000

local function taken(job)
  step_at(kind, job, now + lease_ms)
  -- the time it takes is counted when it has passed; whoever takes the next step meanwhile sees that this tenant was served
  redis.call('ZINCRBY', line, 1, get(job, 'tenant'))
  set(job, kind .. '_token', token, kind .. '_since', now)
  redis.call('HINCRBY', job_key(job), kind .. '_tries', 1)
  return job
end

-- The first step of this tenant that is due.
local function due_of(tenant)
  local own = steps_of(kind, tenant)
  for _ = 1, 10 do
    local job = first_due(own, far_ms)
    if not job then return nil end
    local at = redis.call('ZSCORE', queue, job)
    if not at then
      redis.call('ZREM', own, job)
    elseif at == redis.call('ZSCORE', own, job) then
      return job
    else
      redis.call('ZADD', own, at, job)
    end
  end
end

-- The step that is next, as long as nobody's place is out of date: '' where a step was counted whose holder died.
local function next_step()
  for _, tenant in ipairs(redis.call('ZRANGE', line, 0, LOOK_MOST - 1)) do
    local job = due_of(tenant)
    if job and num(job, kind .. '_since') > 0 then
      charge_step(kind, job, lease_ms)
      return ''
    end
    if job then return job end
  end
end

for _ = 1, 50 do
  local first = first_due(queue, far_ms)
  if not first then return nil end
  if get(first, 'state') then
    step_into_line(kind, get(first, 'tenant'))
    redis.call('ZADD', steps_of(kind, get(first, 'tenant')), redis.call('ZSCORE', queue, first), first)
    local job = next_step() or first
    if job ~= '' then return taken(job) end
  else
    redis.call('ZREM', queue, first)
  end
end
return ''
