-- take_delivery(token, lease_ms, pause_ms) → {member, attempt, traceparent or ''} of a due delivery, held by the caller
--   until the lease lapses; nil if none is due; {} if all that were looked at wait for a place, and more may be due
--
-- A delivery that waits for a place is due as soon as the place is free. While it is not, the
-- delivery is looked at again after each pause.
local PAGE = 100
local function take(member)
  redis.call('ZADD', 'mr:outbox', now + ARGV[2], member)
  redis.call('HSET', 'mr:outbox:tokens', member, ARGV[1])
  local attempt = redis.call('HINCRBY', 'mr:outbox:attempts', member, 1)
  return {member, attempt, redis.call('HGET', 'mr:outbox:traces', member) or ''}
end
-- Whether there is a free place for the delivery, or nil if it waits for none.
local function has_room(member)
  local place, most = string.match(redis.call('HGET', 'mr:outbox:waits', member) or '', '^(%S+) (%d+)$')
  if not place then return nil end
  return redis.call('ZCOUNT', 'mr:callbacks:' .. place, '(' .. now, now + 2 * ARGV[2]) < tonumber(most)
end

local due = redis.call('ZRANGEBYSCORE', 'mr:outbox', '-inf', now, 'LIMIT', 0, PAGE)
for _, member in ipairs(due) do
  if has_room(member) ~= false then return take(member) end
  redis.call('ZADD', 'mr:outbox', now + ARGV[3], member)
end
if due[1] then return {} end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'mr:outbox', now, now + ARGV[3], 'LIMIT', 0, PAGE)) do
  if has_room(member) then return take(member) end
end
-- A retry may be due in a day. A lease that ends far later than possible was written before the
-- clock of Redis went back.
local far = '(' .. string.format('%.0f', now + 2 * ARGV[2])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'mr:outbox', far, '+inf', 'LIMIT', 0, 50)) do
  if redis.call('HEXISTS', 'mr:outbox:tokens', member) == 1 then return take(member) end
end
return nil
