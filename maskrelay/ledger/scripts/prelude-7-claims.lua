-- The claims of frames.

local function load_claim(token)
  local stored = redis.call('HGET', 'mr:claims', token)
  return stored and cjson.decode(stored)
end

local function drop_claim(token, job)
  redis.call('HDEL', 'mr:claims', token)
  redis.call('ZREM', 'mr:leases', token)
  if job then redis.call('SREM', job_key(job, 'claims'), token) end
end

local function holds(claim, frame)
  local at = frame - claim.first + 1
  return at >= 1 and at <= claim.n and string.sub(claim.held, at, at) == '1'
end

-- Remove the frame from the claim. A claim without frames is removed. Returns whether the claim
-- held the frame.
local function release_frame(token, claim, frame)
  if not holds(claim, frame) then return false end
  local at = frame - claim.first + 1
  claim.held = string.sub(claim.held, 1, at - 1) .. '0' .. string.sub(claim.held, at + 1)
  if not is_over(claim.job) then redis.call('HINCRBY', job_key(claim.job), 'leased', -1) end
  if string.find(claim.held, '1', 1, true) then
    redis.call('HSET', 'mr:claims', token, cjson.encode(claim))
  else
    drop_claim(token, claim.job)
  end
  return true
end

local function lease_claim(token, claim, lease_ms)
  redis.call('HSET', 'mr:claims', token, cjson.encode(claim))
  redis.call('ZADD', 'mr:leases', now + lease_ms, token)
  redis.call('SADD', job_key(claim.job, 'claims'), token)
  redis.call('HINCRBY', job_key(claim.job), 'leased', claim.n)
  redis.call('HSETNX', job_key(claim.job), 'claimed', now)
end

-- Let a frame without an outcome be claimed again, as a suspect or not.
local function requeue(job, frame, at, suspect)
  if settled(job, frame) or get(job, 'state') ~= 'running' then return end
  redis.call('ZADD', job_key(job, suspect and 'suspects' or 'due'), at, frame)
end
