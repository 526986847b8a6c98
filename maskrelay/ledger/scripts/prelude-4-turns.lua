-- The lanes: in which order tenants, and the jobs of a tenant, are served.

local DUE_MOST = 2000

local function jobs_key(lane, tenant) return 'mr:line:' .. lane .. ':' .. tenant end

local function make_unclaimable(job)
  local lane = get(job, 'lane')
  redis.call('ZREM', jobs_key(lane, get(job, 'tenant')), job)
  redis.call('ZREM', 'mr:suspects:' .. lane, job)
end

-- Whether so many frames wait for a retry that the job starts no new ones, so that its memory stays
-- bounded even when every frame fails.
local function has_too_many_retries(job)
  return redis.call('ZCARD', job_key(job, 'due')) + redis.call('ZCARD', job_key(job, 'suspects')) >= DUE_MOST
end

-- A tenant that is not in the queue of its lane is looked at again when its next frame is due.
local function schedule_tenant(lane, tenant)
  set_or_remove('mr:later:' .. lane, tenant, earliest(jobs_key(lane, tenant)))
end

-- Put the job where the next claim of its lane finds it, or remove it from there if none of its
-- frames can be claimed.
local function make_claimable(job)
  if get(job, 'state') ~= 'running' then return make_unclaimable(job) end
  local lane, tenant = get(job, 'lane'), get(job, 'tenant')
  local at = earliest(job_key(job, 'due'))
  if at and is_far(at) then at = 0 end
  if num(job, 'cursor') < num(job, 'frames') and not has_too_many_retries(job) then at = 0 end
  set_or_remove(jobs_key(lane, tenant), job, at and math.max(at, math.min(num(job, 'served'), exact)))
  if not redis.call('ZSCORE', 'mr:line:' .. lane, tenant) then schedule_tenant(lane, tenant) end
  set_or_remove('mr:suspects:' .. lane, job, earliest(job_key(job, 'suspects')))
end

-- Return the tenant's job that is served next, or nil if none can be served now. The first job that
-- is not due is placed anew when it was served in the future, since the clock of Redis went back,
-- or when there is no other job.
local function next_job(lane, tenant)
  local key, exactly = jobs_key(lane, tenant), string.format('%.3f', exact)
  local job = redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
  local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. exactly, '+inf', 'LIMIT', 0, 1)[1]
  if not ahead or (job and num(ahead, 'served') <= exact) then return job end
  make_claimable(ahead)
  return redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
end

-- Move the tenants whose frames are due into the queue of the lane. They start at the position of
-- the first tenant, so that nobody is owed anything for the time in which it had no work. Returns
-- whether the queue has any tenant.
local function admit_due_tenants(lane)
  local line, later = 'mr:line:' .. lane, 'mr:later:' .. lane
  local head = earliest(line) or 0
  local function admit(tenants)
    for _, tenant in ipairs(tenants) do
      redis.call('ZADD', line, 'NX', head, tenant)
      redis.call('ZREM', later, tenant)
    end
  end
  admit(redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.3f', exact), 'LIMIT', 0, 32))
  admit(redis.call('ZRANGEBYSCORE', later, '(' .. string.format('%.0f', now + FAR_MS), '+inf', 'LIMIT', 0, 32))
  if redis.call('ZCARD', line) > 0 then return true end
  local first = redis.call('ZRANGE', later, 0, 0)[1]
  if first and next_job(lane, first) then admit({first}) end
  return redis.call('ZCARD', line) > 0
end
