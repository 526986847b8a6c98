-- The frames of a job: failures, outcomes, and what a change of them means for the job.

local function failure_record(job, frame)
  local stored = redis.call('HGET', job_key(job, 'trouble'), frame)
  if stored then
    local record = cjson.decode(stored)
    record.struck = math.min(record.struck, now)
    return record
  end
  return {attempts = 0, deaths = 0, struck = 0, code = ''}
end

local function save_failure_record(job, frame, record)
  redis.call('HSET', job_key(job, 'trouble'), frame, cjson.encode(record))
end

-- Count an item of several frames (by = 1), or no longer count it (by = -1), if all its frames have an
-- outcome.
local function count_complete_span(job, span, by)
  local first, n = string.match(span, '(%d+):(%d+)')
  local function bits(part) return redis.call('BITCOUNT', job_key(job, part), first, first + n - 1, 'BIT') end
  if bits('settled') < tonumber(n) then return end
  local bad = bits('failed')
  local how = bad == 0 and 'succeeded' or bad == tonumber(n) and 'failed' or 'partial'
  redis.call('HINCRBY', job_key(job), 'spans_' .. how, by)
end

-- Count the outcomes of an item of several frames, and the item itself when all its frames have
-- one. This is progress for display; the verdict is made from storage.
local function count_span(job, span, by, failed)
  redis.call('HINCRBY', job_key(job), 'in_spans', by)
  redis.call('HINCRBY', job_key(job), 'failed_in_spans', failed)
  count_complete_span(job, span, 1)
end

-- Return the item of several frames that contains this frame, as "first:n", or nil.
local function span_of(job, frame)
  local span = redis.call('ZREVRANGEBYSCORE', job_key(job, 'spans'), frame, '-inf', 'LIMIT', 0, 1)[1]
  if not span then return nil end
  local first, n = string.match(span, '(%d+):(%d+)')
  return frame < first + n and span or nil
end

-- Record the outcome of a frame. Return its item, as "first:n", if that has several frames, or nil.
local function record_outcome(job, frame, failed)
  redis.call('SETBIT', job_key(job, 'settled'), frame, 1)
  if failed then redis.call('SETBIT', job_key(job, 'failed'), frame, 1) end
  redis.call('HDEL', job_key(job, 'trouble'), frame)
  local span = span_of(job, frame)
  if span then count_span(job, span, 1, failed and 1 or 0) end
  return span
end

-- The outcome of a frame was lost, so the frame has none any more.
local function drop_outcome(job, frame)
  local span = span_of(job, frame)
  if span and settled(job, frame) then
    count_complete_span(job, span, -1)
    redis.call('HINCRBY', job_key(job), 'in_spans', -1)
    redis.call('HINCRBY', job_key(job), 'failed_in_spans', -redis.call('GETBIT', job_key(job, 'failed'), frame))
  end
  redis.call('SETBIT', job_key(job, 'settled'), frame, 0)
  redis.call('SETBIT', job_key(job, 'failed'), frame, 0)
  if span then redis.call('SETRANGE', 'mr:part_numbers:' .. job, 4 * frame, struct.pack('>I4', 0)) end
end

-- Add this many recorded outcomes, and how many of them are errors, to the counters.
local function count_outcomes(outcomes, failed)
  if failed > 0 then count('settled failed', failed) end
  if outcomes > failed then count('settled succeeded', outcomes - failed) end
end

-- Delete what only an unfinished job needs. UNLINK, since some of these keys are large. When many
-- items wait to be assembled, those after the first few are removed when they are taken.
local function drop_working_keys(job)
  for _, item in ipairs(redis.call('SPOP', job_key(job, 'assembling'), 15)) do end_assembly(job, item) end
  for _, part in ipairs({'settled', 'failed', 'due', 'suspects', 'trouble', 'spans', 'opening', 'versions', 'parts', 'refused',
    'assembling'}) do
    redis.call('UNLINK', job_key(job, part))
  end
  redis.call('UNLINK', 'mr:part_numbers:' .. job)
end

-- Move the job on to finishing when every frame has an outcome, or when it is cancelled and nobody
-- holds its frames.
local function finish_if_done(job)
  local state = get(job, 'state')
  local done = state == 'running' and get(job, 'planned') == '1' and bit_count(job, 'settled') == num(job, 'frames')
  if done or (state == 'cancelling' and num(job, 'leased') == 0) then
    move(job, 'finishing')
    set(job, 'scored', now)
    end_step('plan', job)
    schedule_step('finish', job, now)
    make_unclaimable(job)
  end
  recount_usage(get(job, 'tenant'), job)
end

-- Called after every change of a job's frames. A job that is over or unknown is left as it is.
local function frames_changed(job)
  if is_over(job) then return end
  touch(job)
  make_claimable(job)
  finish_if_done(job)
end

-- Add a part of the plan to the job, and return whether it was the next one. `last`: whether it is the
-- last part; items: the number of items of the job, which is known with the last part.
local function add_plan_part(job, part, first, n, last, lane, items)
  if part ~= num(job, 'parts') or first ~= num(job, 'frames') then return false end
  local state = get(job, 'state')
  if state == 'accepted' and move(job, 'running') then
    -- The job becomes the last in turn in its lane, so that a stream of new jobs does not delay the
    -- older ones.
    set(job, 'served', string.format('%.3f', exact))
    redis.call('HSETNX', job_key(job), 'started', now)
  elseif state ~= 'running' then
    return false
  end
  if lane ~= get(job, 'lane') then
    make_unclaimable(job)
    set(job, 'lane', lane)
  end
  set(job, 'parts', part + 1, 'frames', first + n)
  -- How many items a manifest or a listing has is known only when they are planned.
  if tonumber(items) > num(job, 'total') then set(job, 'total', items) end
  redis.call('HDEL', job_key(job), 'plan_tries')
  if n > 0 then
    local bit = redis.call('GETBIT', job_key(job, 'settled'), first + n - 1)
    redis.call('SETBIT', job_key(job, 'settled'), first + n - 1, bit)
  end
  if last then
    set(job, 'planned', 1, 'total', items)
    redis.call('DEL', job_key(job, 'opening'))
    end_step('plan', job)
    redis.call('HDEL', job_key(job), 'plan_token')
  end
  frames_changed(job)
  if n > 0 then redis.call('PUBLISH', 'mr:bell:frames', job) end
  return true
end
