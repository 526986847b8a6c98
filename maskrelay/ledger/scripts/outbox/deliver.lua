-- deliver(token, lease_ms, pause_ms) → {member, attempt, traceparent or ''} of a delivery that is due, now ours until the lease
-- lapses; nil when none is due. One that waits for a place is due as soon as that has room, and is looked at again after the pause
-- where it has none; {}: all that were looked at are such, and more may be due.
local MOST = 100
local function take(member)
  redis.call('ZADD', 'mr:outbox', now + ARGV[2], member)
  redis.call('HSET', 'mr:outbox:tokens', member, ARGV[1])
  local attempt = redis.call('HINCRBY', 'mr:outbox:attempts', member, 1)
  return {member, attempt, redis.call('HGET', 'mr:outbox:traces', member) or ''}
end
-- Whether its place has room; nil if it waits for none.
local function has_room(member)
  local place, most = string.match(redis.call('HGET', 'mr:outbox:waits', member) or '', '^(%S+) (%d+)$')
  if not place then return nil end
  return redis.call('ZCOUNT', 'mr:callbacks:' .. place, '(' .. now, now + 2 * ARGV[2]) < tonumber(most)
end

local due = redis.call('ZRANGEBYSCORE', 'mr:outbox', '-inf', now, 'LIMIT', 0, MOST)
for _, member in ipairs(due) do
  if has_room(member) ~= false then return take(member) end
  redis.call('ZADD', 'mr:outbox', now + ARGV[3], member)
end
if due[1] then return {} end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'mr:outbox', now, now + ARGV[3], 'LIMIT', 0, MOST)) do
  if has_room(member) then return take(member) end
end
-- A retry may be a day away; a lease that is far longer than it can be was written before Redis' clock went back.
local far = '(' .. string.format('%.0f', now + 2 * ARGV[2])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'mr:outbox', far, '+inf', 'LIMIT', 0, 50)) do
  if redis.call('HEXISTS', 'mr:outbox:tokens', member) == 1 then return take(member) end
end
return nil
