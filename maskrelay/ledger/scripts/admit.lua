-- admit(endpoint, lane, waiter, slot, limit, interval_us, slot_lease_ms) → {verdict, wait_ms, why}. verdict: 1 go, 2 go as
-- the probe (with the canary), 0 wait. Fails closed: flow state made under another run of Redis grants nothing for one
-- slot lease, because the slots of scores in flight may be lost with it.
local endpoint, lane, waiter, slot = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, interval, slot_lease = tonumber(ARGV[5]), ARGV[6] / 1000, tonumber(ARGV[7])
local flow = 'mr:flow:' .. endpoint
local slots, seen = flow .. ':slots', flow .. ':seen'
local function field(name) return redis.call('HGET', flow, name) end
local function waiters(of) return flow .. ':waiters:' .. of end
local id = run_id()
if field('run_id') ~= id then
  local thaw = string.format('%.0f', now + slot_lease)
  redis.call('HSET', flow, 'run_id', id, 'frozen', thaw, 'next_at', thaw)
end

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now)) do
  redis.call('ZREM', seen, gone)
  redis.call('ZREM', waiters('interactive'), gone)
  redis.call('ZREM', waiters('bulk'), gone)
end
redis.call('ZADD', waiters(lane), 'NX', string.format('%.3f', exact), waiter)
redis.call('ZADD', seen, now + 3000, waiter)

local function wait(ms, why) return {0, math.ceil(math.max(1, ms)), why} end
-- Whoever comes back when told keeps its place.
local function wait_for_rate(ms) return wait(math.min(ms, 2000), 'rate') end
local function grant(verdict)
  redis.call('ZADD', slots, now + slot_lease, slot)
  redis.call('ZREM', waiters(lane), waiter)
  redis.call('ZREM', seen, waiter)
  local start = math.max(exact, tonumber(field('next_at') or '0'))
  redis.call('HSET', flow, 'next_at', string.format('%.3f', start + interval))
  return {verdict, 0, ''}
end

local frozen = tonumber(field('frozen') or '0')
if now < frozen then return wait(frozen - now, 'frozen') end
redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
local free = limit - redis.call('ZCARD', slots)
local rate_ms = tonumber(field('next_at') or '0') - exact

local gate = field('gate') or 'open'
if gate ~= 'open' then
  local closed_until = tonumber(field('until') or '0')
  if now < closed_until then return wait(closed_until - now, 'gate') end
  if free <= 0 then return wait(25, 'slots') end
  if rate_ms > 0 then return wait_for_rate(rate_ms) end
  redis.call('HSET', flow, 'gate', 'half-open', 'until', now + slot_lease, 'probe', slot)
  return grant(2)
end

if free <= 0 then return wait(25, 'slots') end
local turns = tonumber(field('turns') or '0')
local bulk_waits = redis.call('ZCARD', waiters('bulk')) > 0
if lane == 'bulk' and redis.call('ZCARD', waiters('interactive')) > 0 and turns < 7 then return wait(10, 'lane') end
if lane == 'interactive' and bulk_waits and turns >= 7 then return wait(10, 'lane') end
if redis.call('ZRANK', waiters(lane), waiter) >= free then return wait(25, 'queue') end
if rate_ms > 0 then return wait_for_rate(rate_ms) end
redis.call('HSET', flow, 'turns', (lane == 'interactive' and bulk_waits) and turns + 1 or 0)
return grant(1)
