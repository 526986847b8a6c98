-- room(tenant, more, most, job, hold_ms) → {}: there is room, for hold_ms kept for the job; {name, used}: what would be passed; or
-- {'again'}: there is none yet, but more has expired than one call clears, and it should be called again.
-- more, most: {jobs, frames, interactive, bytes}. What is used is summed up as jobs change; a few of the tenant's jobs are counted
-- anew before a request is refused, so that sums that are wrong for any reason become right where it matters.
local tenant, more, most, newcomer, hold = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local holds = 'mr:holds:' .. tenant
local CLEARED_MOST = 20

local function reached()
  local used = redis.call('HMGET', 'mr:used:' .. tenant, unpack(LOADS))
  for place, name in ipairs(LOADS) do
    local taken = tonumber(used[place] or '0')
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
  recount(tenant, job)
end

clear(holds, '-inf', now, drop_hold)
clear(holds, '(' .. string.format('%.0f', now + FAR_MS), '+inf', drop_hold)
clear('mr:uploads:' .. tenant, '-inf', now, function(upload) drop_upload(tenant, upload) end)
if reached() then
  if cleared == CLEARED_MOST then return {'again'} end
  for _, job in ipairs(redis.call('HRANDFIELD', 'mr:load:' .. tenant, 30)) do recount(tenant, job) end
end
local full = reached()
if full then return full end
if newcomer ~= '' and not get(newcomer, 'state') then
  redis.call('ZADD', holds, now + hold, newcomer)
  count_load(tenant, newcomer, {more.jobs, more.frames, more.interactive, more.bytes})
end
return {}
