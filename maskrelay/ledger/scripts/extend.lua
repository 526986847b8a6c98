-- extend(job, token, part, first, n, spans, last, lane, items) → 1, or 0 when the step is not ours or the part not the next.
-- items: how many the job has, known with the last part.
local job, token, part, first, n, spans, last, lane, items = unpack(ARGV)
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
local names = {}
for _, span in ipairs(cjson.decode(spans)) do
  names[#names + 1] = span[1]
  names[#names + 1] = span[1] .. ':' .. span[2]
end
for place = 1, #names, 1000 do
  redis.call('ZADD', job_key(job, 'spans'), unpack(names, place, math.min(place + 999, #names)))
end
local function known(kind, from, frames) return redis.call('BITCOUNT', job_key(job, kind), from, from + frames - 1, 'BIT') end
if n > 0 and known('settled', first, n) > 0 then -- adopted after a loss
  for place = 1, #names, 2 do
    local from, frames = string.match(names[place + 1], '(%d+):(%d+)')
    local outcomes = known('settled', from, frames)
    if outcomes > 0 then count_span(job, names[place + 1], outcomes, known('failed', from, frames)) end
  end
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
