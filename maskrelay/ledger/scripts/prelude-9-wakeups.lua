-- The wake-ups of the loops of each task, and the gates for which the loops wait.

-- Return whether a message should be sent that wakes a loop of the task. It should be if fewer loops
-- were woken than are wanted, and fewer than two messages of the task are in Celery's list. Messages
-- in that list mean that every child is busy, so more of them would only pile up. The running loops
-- of the segment task count as woken, since each of them takes many frames, and so does the only loop
-- of the tabulate task. A loop of another task is busy with one thing.
local function should_wake(task, wanted, wake_up, ttl_ms)
  local loops, woken = 'mr:loops:' .. task, 'mr:woken:' .. task
  for _, key in ipairs({loops, woken}) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%.0f', now + FAR_MS), '+inf')
  end
  local running = (task == 'segment' or task == 'tabulate') and redis.call('ZCARD', loops) or 0
  if running + redis.call('ZCARD', woken) >= wanted or redis.call('LLEN', task) >= 2 then return false end
  redis.call('ZADD', woken, now + ttl_ms, wake_up)
  return true
end

-- Return the state of an endpoint's gate, its reason, and for how many milliseconds it is closed. A
-- gate that may be probed is closed for 0 ms.
local function gate_of(endpoint)
  local fields = redis.call('HMGET', 'mr:flow:' .. endpoint, 'gate', 'reason', 'closed_until', 'frozen')
  local gate, closed_for = fields[1] or 'open', 0
  if gate ~= 'open' then closed_for = math.max(0, tonumber(fields[3] or '0') - now) end
  if is_far(now + closed_for) then closed_for = 0 end -- the clock of Redis went back
  local frozen = tonumber(fields[4] or '0') - now
  if is_far(now + frozen) then frozen = FAR_MS end
  if frozen > 0 and frozen > closed_for then gate, closed_for = 'frozen', frozen end
  return gate, fields[2] or '', closed_for
end
