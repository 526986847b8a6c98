-- step(kind, token, lease_ms) → {job, tries} of a step that is due, held by the caller until the lease lapses; nil if
--   none is due; {} if only unknown jobs were found, and the script should be called again
--
-- Each time that a step is taken counts as a try, until the step makes progress or an outage is
-- found to be the cause of the failure. Tenants are served in turn, by the time that their steps
-- take. Of a tenant's steps, the one that has been due the longest is taken.
local kind, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local queue, line = 'mr:step:' .. kind, 'mr:steps:' .. kind
local LOOK_MOST = 100 -- tenants without a due step that one call skips
local far_ms = 2 * lease_ms + 60000

-- Return the first step of this tenant that is due.
local function first_due_of(tenant)
  local own = steps_key(kind, tenant)
  for _ = 1, 10 do
    local job = first_due(own, far_ms)
    if not job then return nil end
    local at = redis.call('ZSCORE', queue, job)
    if not at or not get(job, 'state') then -- the record of a job that has ended may have been retired
      redis.call('ZREM', queue, job)
      redis.call('ZREM', own, job)
    elseif at == redis.call('ZSCORE', own, job) then
      return job
    else
      redis.call('ZADD', own, at, job)
    end
  end
end

-- Return the next step, or '' when a step whose holder died was charged, so that the order of the
-- tenants changed.
local function next_step()
  for _, tenant in ipairs(redis.call('ZRANGE', line, 0, LOOK_MOST - 1)) do
    local job = first_due_of(tenant)
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
    enter_step_queue(kind, get(first, 'tenant'))
    redis.call('ZADD', steps_key(kind, get(first, 'tenant')), redis.call('ZSCORE', queue, first), first)
    local job = next_step() or first
    if job ~= '' then return {job, hold_step(kind, job, token, lease_ms)} end
  else
    redis.call('ZREM', queue, first)
  end
end
return {}
