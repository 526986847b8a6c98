-- extend(job, token, part, first, n, last, lane, items) → 1, or 0 when the step is not ours or the part not the next.
-- items: how many the job has, known with the last part. The part's items of several frames were added before (spans.lua).
local job, token, part, first, n, last, lane, items = unpack(ARGV)
part, first, n = tonumber(part), tonumber(first), tonumber(n)
if get(job, 'plan_token') ~= token then return 0 end
if part ~= num(job, 'parts') or first ~= num(job, 'frames') then return 0 end
local state = get(job, 'state')
if state == 'accepted' and move(job, 'running') then
  -- last in the turn of its lane: a stream of new jobs must not keep the older ones waiting
  set(job, 'served', string.format('%.3f', exact))
  redis.call('HSETNX', job_key(job), 'started', now)
elseif state ~= 'running' then
  return 0
end
if lane ~= get(job, 'lane') then
  unready(job)
  set(job, 'lane', lane)
end
set(job, 'parts', part + 1, 'frames', first + n)
redis.call('HDEL', job_key(job), 'plan_tries')
if n > 0 then
  local bit = redis.call('GETBIT', job_key(job, 'settled'), first + n - 1)
  redis.call('SETBIT', job_key(job, 'settled'), first + n - 1, bit)
end
if last == '1' then
  set(job, 'planned', 1, 'total', items)
  redis.call('DEL', job_key(job, 'opening'))
  step_ends('plan', job)
  redis.call('HDEL', job_key(job), 'plan_token')
end
changed(job)
if n > 0 then redis.call('PUBLISH', 'mr:bell:frames', job) end
return 1
