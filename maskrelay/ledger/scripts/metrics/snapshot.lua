-- snapshot(most) → the snapshot of the ledger for the metrics, as JSON
--
-- It has what waits, what is in progress, and the counters since the database was created. Ages are
-- in seconds. Of the running jobs, the `most` oldest are read; every other number is the length of
-- a set or a stored counter.
local function later_than_now(key) return redis.call('ZCOUNT', key, '(' .. now, '+inf') end
local function due(key) return redis.call('ZCOUNT', key, '-inf', now) end
local function age(moment) return moment and math.max(0, now - moment) / 1000 or 0 end

local lanes = {}
for _, lane in ipairs({'interactive', 'bulk'}) do lanes[lane] = {waiting = 0, leased = 0, oldest_s = 0} end
for _, job in ipairs(redis.call('ZRANGE', 'mr:running', 0, ARGV[1] - 1)) do
  local record = redis.call('HMGET', job_key(job), 'lane', 'frames', 'leased', 'created')
  local lane, leased = lanes[record[1]], tonumber(record[3])
  local waiting = math.max(0, record[2] - bit_count(job, 'settled') - leased)
  lane.waiting, lane.leased = lane.waiting + waiting, lane.leased + leased
  if waiting + leased > 0 then lane.oldest_s = math.max(lane.oldest_s, age(tonumber(record[4]))) end
end

local steps = {}
for step, key in pairs({plan = 'mr:step:plan', assemble = 'mr:assembling', finish = 'mr:step:finish'}) do
  steps[step] = {due = due(key), held = later_than_now(key), late_s = age(earliest(key))}
end

local loops = {}
for _, task in ipairs({'segment', 'plan', 'assemble', 'finish', 'tabulate', 'deliver'}) do loops[task] = later_than_now('mr:loops:' .. task) end

local function hash(key)
  local numbers, flat = {}, redis.call('HGETALL', key)
  for index = 1, #flat, 2 do numbers[flat[index]] = tonumber(flat[index + 1]) end
  return next(numbers) and numbers or nil
end

local sweep = redis.call('HMGET', 'mr:sweep', 'last', 'reconciled')
local deliveries = {due = due('mr:outbox'), total = redis.call('ZCARD', 'mr:outbox')}
deliveries.in_flight = math.min(redis.call('HLEN', 'mr:outbox:tokens'), deliveries.total - deliveries.due)
return cjson.encode({
  jobs_running = redis.call('ZCARD', 'mr:running'),
  lanes = lanes,
  steps = steps,
  loops = loops,
  deliveries = deliveries,
  hosts_failing = later_than_now('mr:failing'),
  sweep_s = sweep[1] and age(tonumber(sweep[1])) or nil,  -- Lua's nil leaves the field out
  reconciled_s = sweep[2] and age(tonumber(sweep[2])) or nil,
  memory = {used = tonumber(info_field('memory', 'used_memory')), most = tonumber(info_field('memory', 'maxmemory'))},
  evicts = info_field('memory', 'maxmemory_policy') ~= 'noeviction',
  persists = info_field('persistence', 'aof_enabled') == '1',
  counts = hash('mr:counts'),
  stages = hash('mr:stages'),
})
