-- reserve_quota(tenant, more, most, job, hold_ms, full_at) → {} if the quotas allow it, and it is reserved for the job
--   for hold_ms; {name, used} of a quota that would be exceeded; {'again'} if there is not enough quota yet, but more
--   has expired than one call removes, and the script should be called again; {'memory'} if Redis has a memory limit
--   and uses at least the share full_at of it (0: this is not checked)
--
-- more, most: {jobs, frames, interactive, bytes}. The usage is kept as sums, which change with the
-- jobs. Before a request is refused, a few of the tenant's jobs are counted anew, so that a wrong
-- sum is corrected where it matters.
local tenant, more, most, newcomer, hold = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local holds, full_at = 'mr:holds:' .. tenant, tonumber(ARGV[6])
local CLEARED_MOST = 20

if full_at > 0 then
  local most = tonumber(info_field('memory', 'maxmemory') or '0')
  if most > 0 and tonumber(info_field('memory', 'used_memory')) >= full_at * most then return {'memory'} end
end

local function exceeded()
  local used = redis.call('HMGET', 'mr:used:' .. tenant, unpack(USAGE_FIELDS))
  for index, name in ipairs(USAGE_FIELDS) do
    local taken = tonumber(used[index] or '0')
    if more[name] > 0 and taken + more[name] > most[name] then return {name, taken} end
  end
end

local cleared = 0
local function clear(key, from, to, drop)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, from, to, 'LIMIT', 0, CLEARED_MOST - cleared)) do
    drop(member)
    cleared = cleared + 1
  end
end
local function drop_hold(job)
  redis.call('ZREM', holds, job)
  recount_usage(tenant, job)
end

clear(holds, '-inf', now, drop_hold)
clear(holds, '(' .. string.format('%.0f', now + FAR_MS), '+inf', drop_hold)
clear('mr:uploads:' .. tenant, '-inf', now, function(upload) drop_upload(tenant, upload) end)
if exceeded() then
  if cleared == CLEARED_MOST then return {'again'} end
  for _, job in ipairs(redis.call('HRANDFIELD', 'mr:load:' .. tenant, 10)) do recount_usage(tenant, job) end
end
local full = exceeded()
if full then return full end
if newcomer ~= '' and not get(newcomer, 'state') then
  redis.call('ZADD', holds, now + hold, newcomer)
  count_usage(tenant, newcomer, {more.jobs, more.frames, more.interactive, more.bytes})
end
return {}
