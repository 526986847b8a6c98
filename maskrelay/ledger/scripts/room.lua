-- room(tenant, more, most, job, hold_ms) → {}: there is room, for hold_ms kept for the job; or {name, used}: what would be passed.
-- more, most: {jobs, frames, interactive, bytes}. What is used is counted here, from the records of the tenant's live jobs and
-- from the room kept for those whose record is to come: nothing must be corrected when a job ends or Redis is lost.
local tenant, more, most, newcomer, hold = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local live, kept = 'mr:live:' .. tenant, 'mr:kept:' .. tenant
local NAMES = {'jobs', 'frames', 'interactive', 'bytes'}
local used = {jobs = 0, frames = 0, interactive = 0, bytes = 0}

local function add(load)
  for _, name in ipairs(NAMES) do used[name] = used[name] + load[name] end
end

-- nil of a job that is over.
local function load_of(job)
  local state, lane, total, planned, size = unpack(redis.call('HMGET', job_key(job), 'state', 'lane', 'total', 'frames', 'size'))
  if not state or not next(MOVES[state]) then return nil end
  local frames = 0
  if state == 'accepted' or state == 'running' then
    frames = math.max(tonumber(total), tonumber(planned)) - bit_count(job, 'settled')
  end
  return {jobs = 1, frames = frames, interactive = lane == 'interactive' and frames or 0, bytes = tonumber(size or '0')}
end

for _, job in ipairs(redis.call('SMEMBERS', live)) do
  local load = load_of(job)
  if load then add(load) else redis.call('SREM', live, job) end
end
local waiting = redis.call('HGETALL', kept)
for place = 1, #waiting, 2 do
  local job, one = waiting[place], cjson.decode(waiting[place + 1])
  if one.ends <= now or get(job, 'state') then redis.call('HDEL', kept, job) else add(one.load) end
end
for _, name in ipairs(NAMES) do
  if more[name] > 0 and used[name] + more[name] > most[name] then return {name, used[name]} end
end
if newcomer ~= '' then redis.call('HSET', kept, newcomer, cjson.encode({ends = now + hold, load = more})) end
return {}
