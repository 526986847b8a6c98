-- Prepended to every script, after the table of allowed moves. All times are taken from the clock
-- of Redis, in milliseconds.
--
-- The keys of the ledger:
--
--   mr:job:{job}           hash, the record of a job: tenant lane state planned total size frames cursor parts leased
--                          version served created started finished cancel halted in_spans spans_{how}; {kind}_token
--                          {kind}_tries {kind}_since (kind: plan, finish); claimed scored assembling assembled told
--                          (moments); spent_{cause} (milliseconds, summed over frames)
--   mr:job:{job}:settled   bitmap, bit n: frame n has an outcome
--   mr:job:{job}:failed    bitmap, bit n: the outcome of frame n is an error
--   mr:job:{job}:due       zset frame → when it may be claimed again
--   mr:job:{job}:suspects  zset as `due`, for frames that are claimed alone. When both together reach DUE_MOST, the
--                          cursor stops
--   mr:job:{job}:trouble   hash frame → its failure record {attempts, deaths, struck, code}, only for unsettled frames
--                          that failed
--   mr:job:{job}:spans     zset "first:n" → first: the frames of an item that has several
--   mr:job:{job}:versions  hash item → the model version that scores it, only when the pool has several versions
--   mr:job:{job}:opening   hash source → how often planning opened it, only while it is open or after it killed a
--                          child
--   mr:job:{job}:assembling  set of "item part" (part of the plan): items whose whole-item files must be made before
--                          the job can finish
--   mr:job:{job}:parts     list of outcome parts, each name packed (ledger/part_names.py)
--   mr:job:{job}:refused   hash part → comma-separated frames whose line in it does not count, only for parts that
--                          have any
--   mr:job:{job}:claims    set of the tokens that hold frames of the job
--   mr:line:{lane}         zset tenant → its position, in frames. The first tenant is served next, and moves back by
--                          the number of frames claimed. Holds every tenant with claimable frames, and some that turn
--                          out to have none
--   mr:line:{lane}:{tenant}  zset job → when it was last served, or when its next frame is due: the tenant's jobs in
--                          turn
--   mr:later:{lane}        zset tenant → when its next frame is due, only for tenants that are not in mr:line:{lane}
--   mr:suspects:{lane}     zset job → when its first suspect may be claimed
--   mr:turns               string, consecutive interactive claims while bulk waited
--   mr:drain               string, exists while a child finishes its frames so that it can take a suspect
--   mr:leases              zset token → deadline
--   mr:claims              hash token → the claim, as JSON
--   mr:step:{kind}         zset job → when its step is due, or the deadline of the step's lease
--   mr:steps:{kind}        zset tenant → its position, in milliseconds. The first tenant is served next, and moves
--                          back by the time that its step takes. Holds every tenant with such a step, and some that
--                          have none any more
--   mr:steps:{kind}:{tenant}  zset job → as in mr:step:{kind}, which is authoritative where the two differ
--   mr:assembling          zset "job item part" → when it is due, or the deadline of its lease; with the hashes
--                          :tokens and :tries
--   mr:outbox              zset "job event" → when it is due, or the deadline of its lease; with the hashes :attempts,
--                          :tokens, :last, :traces, and :waits → "place most" for an event that waits for a free
--                          delivery place
--   mr:failing:{host}      string, consecutive failures of a callback host
--   mr:resting:{host}      string, exists while the host is in its cool-down
--   mr:callbacks:{place}   zset token → deadline: the deliveries in progress to one host, or for one tenant
--   mr:failing             zset host → when its failures are forgotten
--   mr:tenant:{tenant}     zset job → created
--   mr:running             zset job → created, only running jobs
--   mr:deadlines           zset job → when it is to be cancelled, only for jobs with a deadline
--   mr:live:{tenant}       set of the jobs that are not over
--   mr:load:{tenant}       hash job, or unused upload → "jobs frames interactive bytes": what it counts towards the
--                          quotas
--   mr:used:{tenant}       hash jobs frames interactive bytes: the sums over mr:load:{tenant}
--   mr:holds:{tenant}      zset job → when its reservation of quota expires, only while the job is being accepted
--   mr:uploads:{tenant}    zset upload → when it expires, only for uploads that no job has used. The sweep removes an
--                          upload from here when it removes it from storage, so that a clock that went back does not
--                          free its bytes early
--   mr:loops:{task}        zset loop → deadline
--   mr:woken:{task}        zset wake-up → deadline
--   mr:asked               string, written to check that Redis accepts writes
--   mr:accepting:{job}     string, exists while a submission with an idempotency key is being accepted
--   mr:flow:{endpoint}     hash run_id frozen turns gate closed_until probe reason failures closings good excused
--                          full_at, and the fields described in flow/prelude-limit.lua and flow/prelude-tokens.lua;
--                          :slots zset slot → deadline; :scores hash slot → "begun place refused answer_bytes";
--                          :failing set of the frames that failed in a row; :waiters:{lane} zset "child:waiter" →
--                          arrival; :seen zset "child:waiter" → when it is forgotten; :errors:{minute} hash kind →
--                          count; :reported hash child → the freeze for which it reported what it has in flight
--   mr:calls:{child}       list of the waiters of a child that may go next
--   mr:store               string, the id of the store of the deployment that this database belongs to
--   mr:senders             zset child that may send requests → when it was last heard of
--   mr:bell:{bell}         channel for notifications (ledger/notifications.py)
--   mr:counts              hash "what label" → how often since the database was created
--   mr:stages              hash "stage bucket" → count, and "stage us" → sum
--   mr:sweep               hash run_id last reconciled_run reconciled listed_run listing_run at_{walk}, and extend_to
--                          back_ms back_from (claims/lapse.lua)
--   mr:sweep:lock, mr:sweep:{duty}  strings, locks of the sweep
--   mr:reconciling         zset "run_id token" → when this comparison of storage and ledger was last heard of
--   mr:reconciling:began   hash "run_id token" → when it began
local DUE_MOST = 2000
-- No lease and no pause of a frame or a step is longer. A moment further ahead was written before
-- the clock of Redis went back (after a failover, or by hand), and counts as now.
local FAR_MS = 900000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local exact = time[1] * 1000 + time[2] / 1000

local function job_key(job, part) return 'mr:job:' .. job .. (part and ':' .. part or '') end
local function is_far(moment) return moment > now + FAR_MS end
-- Return the first member of a sorted set of moments that is due, or that is too far ahead.
local function first_due(key, far_ms)
  local far = '(' .. string.format('%.0f', now + (far_ms or FAR_MS))
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1)[1]
    or redis.call('ZRANGEBYSCORE', key, far, '+inf', 'LIMIT', 0, 1)[1]
end
-- Count the members that are due, or too far ahead.
local function count_due(key)
  return redis.call('ZCOUNT', key, '-inf', now) + redis.call('ZCOUNT', key, '(' .. string.format('%.0f', now + FAR_MS), '+inf')
end

local function get(job, field) return redis.call('HGET', job_key(job), field) end
local function num(job, field) return tonumber(get(job, field) or '0') end
local function set(job, ...) redis.call('HSET', job_key(job), ...) end
local function touch(job) redis.call('HINCRBY', job_key(job), 'version', 1) end
local function bit_count(job, part) return redis.call('BITCOUNT', job_key(job, part)) end
local function settled(job, frame) return redis.call('GETBIT', job_key(job, 'settled'), frame) == 1 end

local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

-- MOVES is generated from rules/lifecycle.py. Returns whether the job moved.
local function move(job, to)
  local from = get(job, 'state')
  if not from or not MOVES[from] or not MOVES[from][to] then return false end
  set(job, 'state', to)
  if to == 'running' then
    redis.call('ZADD', 'mr:running', get(job, 'created'), job)
  else
    redis.call('ZREM', 'mr:running', job)
  end
  touch(job)
  return true
end

local function count(what, by) redis.call('HINCRBY', 'mr:counts', what, by or 1) end

local function earliest(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

local function jobs_key(lane, tenant) return 'mr:line:' .. lane .. ':' .. tenant end

local function make_unclaimable(job)
  local lane = get(job, 'lane')
  redis.call('ZREM', jobs_key(lane, get(job, 'tenant')), job)
  redis.call('ZREM', 'mr:suspects:' .. lane, job)
end

-- Whether so many frames wait for a retry that the job starts no new ones, so that its memory stays
-- bounded even when every frame fails.
local function has_too_many_retries(job)
  return redis.call('ZCARD', job_key(job, 'due')) + redis.call('ZCARD', job_key(job, 'suspects')) >= DUE_MOST
end

local function set_or_remove(key, job, at)
  if at then redis.call('ZADD', key, string.format('%.3f', at), job) else redis.call('ZREM', key, job) end
end

-- A tenant that is not in the queue of its lane is looked at again when its next frame is due.
local function schedule_tenant(lane, tenant)
  set_or_remove('mr:later:' .. lane, tenant, earliest(jobs_key(lane, tenant)))
end

-- What a job counts towards the quotas of its tenant, in the order of USAGE_FIELDS. A job that is
-- over or unknown counts nothing.
local USAGE_FIELDS = {'jobs', 'frames', 'interactive', 'bytes'}
local NO_USAGE = {0, 0, 0, 0}
local function usage_of(job)
  local state, lane, total, planned, size = unpack(redis.call('HMGET', job_key(job), 'state', 'lane', 'total', 'frames', 'size'))
  if not state or not next(MOVES[state]) then return NO_USAGE end
  local frames = 0
  if state == 'accepted' or state == 'running' then
    frames = math.max(tonumber(total), tonumber(planned)) - bit_count(job, 'settled')
  end
  return {1, frames, lane == 'interactive' and frames or 0, tonumber(size or '0')}
end

-- What is recorded in mr:load for a job or an unused upload, in the order of USAGE_FIELDS.
local function counted_usage(tenant, member)
  local usage = {}
  for number in string.gmatch(redis.call('HGET', 'mr:load:' .. tenant, member) or '0 0 0 0', '%d+') do
    usage[#usage + 1] = tonumber(number)
  end
  return usage
end

-- Replace what the job counts by this usage. The sums need no walk over the jobs, and a job that
-- ends subtracts exactly what it had added, however it ends.
local function count_usage(tenant, job, usage)
  local loads, used = 'mr:load:' .. tenant, 'mr:used:' .. tenant
  local before = counted_usage(tenant, job)
  for index, name in ipairs(USAGE_FIELDS) do
    if usage[index] ~= before[index] then redis.call('HINCRBY', used, name, string.format('%.0f', usage[index] - before[index])) end
  end
  if usage ~= NO_USAGE then
    redis.call('HSET', loads, job, string.format('%.0f %.0f %.0f %.0f', unpack(usage)))
  elseif redis.call('HDEL', loads, job) == 1 and redis.call('EXISTS', loads) == 0 then
    redis.call('DEL', used)
  end
end

-- The upload no longer counts as unused.
local function drop_upload(tenant, upload)
  redis.call('ZREM', 'mr:uploads:' .. tenant, upload)
  count_usage(tenant, upload, NO_USAGE)
end

-- Count the job as its record says. A job without a record keeps its reservation until that
-- expires, and so does an unused upload.
local function recount_usage(tenant, job)
  local kept = not get(job, 'state')
    and (redis.call('ZSCORE', 'mr:holds:' .. tenant, job) or redis.call('ZSCORE', 'mr:uploads:' .. tenant, job))
  if not kept then count_usage(tenant, job, usage_of(job)) end
end

-- Put the job where the next claim of its lane finds it, or remove it from there if none of its
-- frames can be claimed.
local function make_claimable(job)
  if get(job, 'state') ~= 'running' then return make_unclaimable(job) end
  local lane, tenant = get(job, 'lane'), get(job, 'tenant')
  local at = earliest(job_key(job, 'due'))
  if at and is_far(at) then at = 0 end
  if num(job, 'cursor') < num(job, 'frames') and not has_too_many_retries(job) then at = 0 end
  set_or_remove(jobs_key(lane, tenant), job, at and math.max(at, math.min(num(job, 'served'), exact)))
  if not redis.call('ZSCORE', 'mr:line:' .. lane, tenant) then schedule_tenant(lane, tenant) end
  set_or_remove('mr:suspects:' .. lane, job, earliest(job_key(job, 'suspects')))
end

-- Return the tenant's job that is served next, or nil if none can be served now. The first job that
-- is not due is placed anew when it was served in the future, since the clock of Redis went back,
-- or when there is no other job.
local function next_job(lane, tenant)
  local key, exactly = jobs_key(lane, tenant), string.format('%.3f', exact)
  local job = redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
  local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. exactly, '+inf', 'LIMIT', 0, 1)[1]
  if not ahead or (job and num(ahead, 'served') <= exact) then return job end
  make_claimable(ahead)
  return redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
end

-- Move the tenants whose frames are due into the queue of the lane. They start at the position of
-- the first tenant, so that nobody is owed anything for the time in which it had no work. Returns
-- whether the queue has any tenant.
local function admit_due_tenants(lane)
  local line, later = 'mr:line:' .. lane, 'mr:later:' .. lane
  local head = earliest(line) or 0
  local function move(tenants)
    for _, tenant in ipairs(tenants) do
      redis.call('ZADD', line, 'NX', head, tenant)
      redis.call('ZREM', later, tenant)
    end
  end
  move(redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.3f', exact), 'LIMIT', 0, 32))
  move(redis.call('ZRANGEBYSCORE', later, '(' .. string.format('%.0f', now + FAR_MS), '+inf', 'LIMIT', 0, 32))
  if redis.call('ZCARD', line) > 0 then return true end
  local first = redis.call('ZRANGE', later, 0, 0)[1]
  if first and next_job(lane, first) then move({first}) end
  return redis.call('ZCARD', line) > 0
end

local function steps_key(kind, tenant) return 'mr:steps:' .. kind .. ':' .. tenant end

-- Give the tenant a position among those that have steps of this kind: that of the first, so that
-- nobody is owed anything for the time in which it had no work. A tenant without steps is removed
-- only when it is first, as in the lanes.
local function enter_step_queue(kind, tenant)
  local line = 'mr:steps:' .. kind
  for _ = 1, 32 do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first or redis.call('EXISTS', steps_key(kind, first)) == 1 then break end
    redis.call('ZREM', line, first)
  end
  redis.call('ZADD', line, 'NX', earliest(line) or 0, tenant)
end

-- Move the tenant back by the time that the job's step took since it was last charged. A step that
-- nobody holds is not charged. `most` bounds the time of a step whose holder died.
local function charge_step(kind, job, most)
  local since = num(job, kind .. '_since')
  if since == 0 then return end
  local took = math.max(0, math.min(now - since, most or FAR_MS))
  redis.call('ZADD', 'mr:steps:' .. kind, 'XX', 'INCR', took, get(job, 'tenant'))
  redis.call('HDEL', job_key(job), kind .. '_since')
end

-- The job's step is due at this moment, or its lease ends then.
local function schedule_step(kind, job, at)
  local tenant = get(job, 'tenant')
  enter_step_queue(kind, tenant)
  redis.call('ZADD', 'mr:step:' .. kind, at, job)
  redis.call('ZADD', steps_key(kind, tenant), at, job)
end

-- The job no longer has a step of this kind.
local function end_step(kind, job, tenant)
  charge_step(kind, job)
  redis.call('ZREM', 'mr:step:' .. kind, job)
  redis.call('ZREM', steps_key(kind, tenant or get(job, 'tenant')), job)
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

local function is_over(job)
  local state = get(job, 'state')
  return not state or not next(MOVES[state])
end

-- Called after every change of a job's frames. A job that is over or unknown is left as it is.
local function frames_changed(job)
  if is_over(job) then return end
  touch(job)
  make_claimable(job)
  finish_if_done(job)
end

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

-- The whole-item files of the item are made, or no longer needed. Returns whether the item was the
-- job's last.
local function end_assembly(job, item)
  local member = job .. ' ' .. item
  redis.call('ZREM', 'mr:assembling', member)
  redis.call('HDEL', 'mr:assembling:tokens', member)
  redis.call('HDEL', 'mr:assembling:tries', member)
  return redis.call('SREM', job_key(job, 'assembling'), item) == 1 and redis.call('SCARD', job_key(job, 'assembling')) == 0
end

-- Delete what only an unfinished job needs. UNLINK, since some of these keys are large. When many
-- items wait to be assembled, those after the first few are removed when they are taken.
local function drop_working_keys(job)
  for _, item in ipairs(redis.call('SPOP', job_key(job, 'assembling'), 15)) do end_assembly(job, item) end
  for _, part in ipairs({'settled', 'failed', 'due', 'suspects', 'trouble', 'spans', 'opening', 'versions', 'parts', 'refused',
    'assembling'}) do
    redis.call('UNLINK', job_key(job, part))
  end
end

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

-- Whether the part is listed: 'yes', 'no', or 'unsure' when the list is too long to be searched in
-- one call. `searched`: how many parts from the head of the list are known to be others, or -1 if
-- the part is known to be listed. A part is searched for only if one of its frames has an outcome:
-- a listed part in which no frame has one was refused as a whole, and is in `refused`.
local SEARCH_MOST = 20000
local function is_listed(job, part, some_settled, searched)
  if searched < 0 or redis.call('HEXISTS', job_key(job, 'refused'), part) == 1 then return 'yes' end
  if not some_settled then return 'no' end
  local left = redis.call('LLEN', job_key(job, 'parts')) - searched
  if left <= 0 then return 'no' end
  if redis.call('LPOS', job_key(job, 'parts'), part, 'RANK', -1, 'MAXLEN', math.min(left, SEARCH_MOST)) then return 'yes' end
  return left > SEARCH_MOST and 'unsure' or 'no'
end

-- Return the frames that were refused in a listed part, as a set.
local function refused_in(job, part)
  local refused = redis.call('HGET', job_key(job, 'refused'), part)
  local set = {}
  for frame in string.gmatch(refused or '', '%d+') do set[tonumber(frame)] = true end
  return set
end

local function list_part(job, part, refused)
  redis.call('RPUSH', job_key(job, 'parts'), part)
  if #refused > 0 then redis.call('HSET', job_key(job, 'refused'), part, table.concat(refused, ',')) end
end

-- Count the outcomes of an item of several frames, and the item itself when all its frames have
-- one. This is progress for display; the verdict is made from storage.
local function count_span(job, span, by, failed)
  local first, n = string.match(span, '(%d+):(%d+)')
  redis.call('HINCRBY', job_key(job), 'in_spans', by)
  redis.call('HINCRBY', job_key(job), 'failed_in_spans', failed)
  local function bits(part) return redis.call('BITCOUNT', job_key(job, part), first, first + n - 1, 'BIT') end
  if bits('settled') < tonumber(n) then return end
  local bad = bits('failed')
  local how = bad == 0 and 'succeeded' or bad == tonumber(n) and 'failed' or 'partial'
  redis.call('HINCRBY', job_key(job), 'spans_' .. how, 1)
end

-- Return the item of several frames that contains this frame, as "first:n", or nil.
local function span_of(job, frame)
  local span = redis.call('ZREVRANGEBYSCORE', job_key(job, 'spans'), frame, '-inf', 'LIMIT', 0, 1)[1]
  if not span then return nil end
  local first, n = string.match(span, '(%d+):(%d+)')
  return frame < first + n and span or nil
end

local function record_outcome(job, frame, failed)
  redis.call('SETBIT', job_key(job, 'settled'), frame, 1)
  if failed then redis.call('SETBIT', job_key(job, 'failed'), frame, 1) end
  redis.call('HDEL', job_key(job, 'trouble'), frame)
  local span = span_of(job, frame)
  if span then count_span(job, span, 1, failed and 1 or 0) end
end

-- Add this many recorded outcomes, and how many of them are errors, to the counters.
local function count_outcomes(outcomes, failed)
  if failed > 0 then count('settled failed', failed) end
  if outcomes > failed then count('settled succeeded', outcomes - failed) end
end
