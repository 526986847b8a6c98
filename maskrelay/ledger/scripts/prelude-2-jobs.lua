-- The record of a job, its state, and the counters.

local function get(job, field) return redis.call('HGET', job_key(job), field) end
local function num(job, field) return tonumber(get(job, field) or '0') end
local function set(job, ...) redis.call('HSET', job_key(job), ...) end
local function announce_change(job, tenant) redis.call('PUBLISH', 'mr:bell:changed', job .. ' ' .. tenant) end
local function touch(job)
  redis.call('HINCRBY', job_key(job), 'version', 1)
  local tenant = get(job, 'tenant')
  if tenant then announce_change(job, tenant) end
end
local function bit_count(job, part) return redis.call('BITCOUNT', job_key(job, part)) end
local function settled(job, frame) return redis.call('GETBIT', job_key(job, 'settled'), frame) == 1 end

local function is_over(job)
  local state = get(job, 'state')
  return not state or not next(MOVES[state])
end

-- MOVES is generated from rules/lifecycle.py. Returns whether the job moved.
local function move(job, to)
  local from = get(job, 'state')
  if not from or not MOVES[from] or not MOVES[from][to] then return false end
  set(job, 'state', to)
  if to == 'running' then
    redis.call('ZADD', 'mr:running', get(job, 'created'), job)
  else
    redis.call('ZREM', 'mr:running', job)
  end
  touch(job)
  return true
end

-- Return the record with its counted frames, or nil.
local function job_record(job)
  local fields = redis.call('HGETALL', job_key(job))
  if #fields == 0 then return nil end
  local record = {}
  for index = 1, #fields, 2 do record[fields[index]] = fields[index + 1] end
  if not record.frames_failed then
    record.frames_failed = bit_count(job, 'failed')
    record.frames_succeeded = bit_count(job, 'settled') - record.frames_failed
  end
  return record
end

local function count(what, by) redis.call('HINCRBY', 'mr:counts', what, by or 1) end
