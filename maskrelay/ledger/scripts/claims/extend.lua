-- extend(job, token, part, first, n, last, lane, items) → 1, or 0 unless the caller holds the step and the part is the
--   next
--
-- Adds a part of the plan to the job. items: the number of items of the job, which is known with
-- the last part. Items of several frames in this part were added before (record_spans.lua).
local job, token, part, first, n, last, lane, items = unpack(ARGV)
part, first, n = tonumber(part), tonumber(first), tonumber(n)
if get(job, 'plan_token') ~= token then return 0 end
if part ~= num(job, 'parts') or first ~= num(job, 'frames') then return 0 end
local state = get(job, 'state')
if state == 'accepted' and move(job, 'running') then
  -- The job becomes the last in turn in its lane, so that a stream of new jobs does not delay the
  -- older ones.
  set(job, 'served', string.format('%.3f', exact))
  redis.call('HSETNX', job_key(job), 'started', now)
elseif state ~= 'running' then
  return 0
end
if lane ~= get(job, 'lane') then
  make_unclaimable(job)
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
  end_step('plan', job)
  redis.call('HDEL', job_key(job), 'plan_token')
end
frames_changed(job)
if n > 0 then redis.call('PUBLISH', 'mr:bell:frames', job) end
return 1
