-- room(tenant, more, most, job, hold_ms) → {}: there is room, for hold_ms kept for the job; or {name, used}: what would be passed.
-- more, most: {jobs, frames, interactive, bytes}. What is used is summed up as jobs change; a few of the tenant's jobs are counted
-- anew before a request is refused, so that sums that are wrong for any reason become right where it matters.
local tenant, more, most, newcomer, hold = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local holds = 'mr:holds:' .. tenant

local function reached()
  local used = redis.call('HMGET', 'mr:used:' .. tenant, unpack(LOADS))
  for place, name in ipairs(LOADS) do
    local taken = tonumber(used[place] or '0')
    if more[name] > 0 and taken + more[name] > most[name] then return {name, taken} end
  end
end

for _, job in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now, 'LIMIT', 0, 50)) do
  redis.call('ZREM', holds, job)
  recount(tenant, job)
end
local far = redis.call('ZRANGEBYSCORE', holds, '(' .. string.format('%.0f', now + FAR_MS), '+inf', 'LIMIT', 0, 50)
for _, job in ipairs(far) do
  redis.call('ZREM', holds, job)
  recount(tenant, job)
end
for _, upload in ipairs(redis.call('ZRANGEBYSCORE', 'mr:uploads:' .. tenant, '-inf', now, 'LIMIT', 0, 50)) do
  drop_upload(tenant, upload)
end
if reached() then
  for _, job in ipairs(redis.call('HRANDFIELD', 'mr:load:' .. tenant, 50)) do recount(tenant, job) end
end
local full = reached()
if full then return full end
if newcomer ~= '' and not get(newcomer, 'state') then
  redis.call('ZADD', holds, now + hold, newcomer)
  count_load(tenant, newcomer, {more.jobs, more.frames, more.interactive, more.bytes})
end
return {}
