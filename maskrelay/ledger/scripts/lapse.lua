-- lapse(lease_ms, most) → {lapsed, condemned}: claims whose worker was not heard of in time.
-- A death counts against a frame only if it was claimed alone; after two it is condemned: claimed anew for the caller, who
-- writes its outcome. After a change of run_id, or when nobody swept for longer than a lease, every lease gets one more.
local lease_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local seen = redis.call('HMGET', 'mr:sweep', 'run_id', 'last')
local id = run_id()
redis.call('HSET', 'mr:sweep', 'run_id', id, 'last', now)
if seen[1] ~= id or now - tonumber(seen[2] or '0') > lease_ms then
  for _, token in ipairs(redis.call('ZRANGE', 'mr:leases', 0, -1)) do
    redis.call('ZADD', 'mr:leases', now + lease_ms, token)
  end
  return cjson.encode({lapsed = 0})
end

local condemned, lapsed = {}, 0
local function forget(token, claim)
  local job = claim.job
  for frame = claim.first, claim.first + claim.n - 1 do
    if let_go(token, claim, frame) and get(job, 'state') == 'running' and not settled(job, frame) then
      local record = trouble(job, frame)
      if claim.alone then
        record.deaths = record.deaths + 1
        set_trouble(job, frame, record)
      end
      if record.deaths >= 2 then
        local again = token .. '-' .. frame
        lease_claim(again, {job = job, first = frame, n = 1, held = '1', alone = true}, lease_ms)
        condemned[#condemned + 1] = {token = again, job = job, frame = frame}
      else
        put_back(job, frame, now, true)
      end
    end
  end
  drop_claim(token)
  changed(job)
end

for _, token in ipairs(redis.call('ZRANGEBYSCORE', 'mr:leases', '-inf', now, 'LIMIT', 0, most)) do
  local claim = load_claim(token)
  if claim then forget(token, claim) else drop_claim(token) end
  lapsed = lapsed + 1
  count('lapsed claim')
end
return cjson.encode({lapsed = lapsed, condemned = condemned})
