-- What a tenant uses of its quotas.

-- What a job counts towards the quotas of its tenant, in the order of USAGE_FIELDS. A job that is
-- over or unknown counts nothing. After a loss of Redis, more frames can have outcomes than are
-- planned again; these frames count nothing, and never less than nothing.
local USAGE_FIELDS = {'jobs', 'frames', 'interactive', 'bytes'}
local NO_USAGE = {0, 0, 0, 0}
local function usage_of(job)
  local state, lane, total, planned, size = unpack(redis.call('HMGET', job_key(job), 'state', 'lane', 'total', 'frames', 'size'))
  if not state or not next(MOVES[state]) then return NO_USAGE end
  local frames = 0
  if state == 'accepted' or state == 'running' then
    frames = math.max(0, math.max(tonumber(total), tonumber(planned)) - bit_count(job, 'settled'))
  end
  return {1, frames, lane == 'interactive' and frames or 0, tonumber(size or '0')}
end

-- Return what is recorded in mr:load for a job or an unused upload, in the order of USAGE_FIELDS, and
-- the last recount that includes it.
local function counted_usage(tenant, member)
  local usage = {}
  for number in string.gmatch(redis.call('HGET', 'mr:load:' .. tenant, member) or '0 0 0 0', '%-?%d+') do
    usage[#usage + 1] = tonumber(number)
  end
  return usage, usage[5] or 0
end

-- The recount in progress for a tenant, 0 if there is none. Looked up once in a script.
local rounds = {}
local function round_of(tenant)
  rounds[tenant] = rounds[tenant] or tonumber(redis.call('HGET', 'mr:used:' .. tenant, 'round') or '0')
  return rounds[tenant]
end

-- Replace what the member counts by this usage. The sums need no walk over the jobs, and a job that
-- ends subtracts exactly what it had added, however it ends. A recount in progress includes every
-- member that was counted since the recount began.
local function count_usage(tenant, member, usage)
  local loads, used = 'mr:load:' .. tenant, 'mr:used:' .. tenant
  local before, last = counted_usage(tenant, member)
  local round, counts_something = round_of(tenant), false
  local function add(field, more)
    if more ~= 0 then redis.call('HINCRBY', used, field, string.format('%.0f', more)) end
  end
  for index, name in ipairs(USAGE_FIELDS) do
    counts_something = counts_something or usage[index] ~= 0
    add(name, usage[index] - before[index])
    if round ~= 0 then add('next_' .. name, usage[index] - (last == round and before[index] or 0)) end
  end
  if counts_something then
    local numbers = {usage[1], usage[2], usage[3], usage[4], round}
    redis.call('HSET', loads, member, string.format('%.0f %.0f %.0f %.0f %.0f', unpack(numbers)))
  elseif redis.call('HDEL', loads, member) == 1 and redis.call('EXISTS', loads) == 0 then
    redis.call('DEL', used)
    rounds[tenant] = 0
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
  count_usage(tenant, job, kept and counted_usage(tenant, job) or usage_of(job))
end
