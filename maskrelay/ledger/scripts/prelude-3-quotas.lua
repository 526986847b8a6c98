-- What a tenant uses of its quotas.

-- What a job counts towards the quotas of its tenant, in the order of USAGE_FIELDS. A job that is
-- over or unknown counts nothing.
local USAGE_FIELDS = {'jobs', 'frames', 'interactive', 'bytes'}
local NO_USAGE = {0, 0, 0, 0}
local function usage_of(job)
  local state, lane, total, planned, size = unpack(redis.call('HMGET', job_key(job), 'state', 'lane', 'total', 'frames', 'size'))
  if not state or not next(MOVES[state]) then return NO_USAGE end
  local frames = 0
  if state == 'accepted' or state == 'running' then
    frames = math.max(tonumber(total), tonumber(planned)) - bit_count(job, 'settled')
  end
  return {1, frames, lane == 'interactive' and frames or 0, tonumber(size or '0')}
end

-- What is recorded in mr:load for a job or an unused upload, in the order of USAGE_FIELDS.
local function counted_usage(tenant, member)
  local usage = {}
  for number in string.gmatch(redis.call('HGET', 'mr:load:' .. tenant, member) or '0 0 0 0', '%d+') do
    usage[#usage + 1] = tonumber(number)
  end
  return usage
end

-- Replace what the job counts by this usage. The sums need no walk over the jobs, and a job that
-- ends subtracts exactly what it had added, however it ends.
local function count_usage(tenant, job, usage)
  local loads, used = 'mr:load:' .. tenant, 'mr:used:' .. tenant
  local before = counted_usage(tenant, job)
  for index, name in ipairs(USAGE_FIELDS) do
    if usage[index] ~= before[index] then redis.call('HINCRBY', used, name, string.format('%.0f', usage[index] - before[index])) end
  end
  if usage ~= NO_USAGE then
    redis.call('HSET', loads, job, string.format('%.0f %.0f %.0f %.0f', unpack(usage)))
  elseif redis.call('HDEL', loads, job) == 1 and redis.call('EXISTS', loads) == 0 then
    redis.call('DEL', used)
  end
end

-- The upload no longer counts as unused.
local function drop_upload(tenant, upload)
  redis.call('ZREM', 'mr:uploads:' .. tenant, upload)
  count_usage(tenant, upload, NO_USAGE)
end

-- Count the job as its record says. A job without a record keeps its reservation until that
-- expires, and so does an unused upload.
local function recount_usage(tenant, job)
  local kept = not get(job, 'state')
    and (redis.call('ZSCORE', 'mr:holds:' .. tenant, job) or redis.call('ZSCORE', 'mr:uploads:' .. tenant, job))
  if not kept then count_usage(tenant, job, usage_of(job)) end
end
