-- Put before every script of this folder. The whole key layout of the ledger (times are Redis' own, in milliseconds):
--
--   mr:job:{job}           hash  tenant lane state planned total size frames cursor parts leased version served
--                                created started finished cancel {kind}_token {kind}_tries {kind}_since halted in_spans spans_{how} …; one record a job
--                                claimed scored assembling assembled told (moments)  spent_{cause} (ms of frames in hand)
--   mr:job:{job}:settled   bitmap, bit n: frame n has its outcome        :failed  bitmap, and it is an error
--   mr:job:{job}:due       zset frame → when it may be claimed again
--   mr:job:{job}:suspects  zset the same, for frames that are claimed alone; with `due` at most DUE_MOST, or the cursor stops
--   mr:job:{job}:trouble   hash frame → {attempts, deaths, struck, code}; only unsettled frames that had trouble
--   mr:job:{job}:spans     zset "first:n" → first, the frames of one item of several
--   mr:job:{job}:versions  hash item → the version of the model that scores it; only where the pool has several
--   mr:job:{job}:opening   hash source → how often planning opened it; only those being opened, or that ended a child
--   mr:job:{job}:assembling  set of "item part" (of the plan) whose whole-item files are to be made before the job can finish
--   mr:job:{job}:parts     list of outcome parts, each name packed (ledger/part_names.py)
--   mr:job:{job}:refused   hash part → the frames whose line in it does not count, by commas; only parts that have some
--   mr:job:{job}:claims    set of the tokens that hold frames of the job
--   mr:line:{lane}         zset tenant → its place, in frames: whoever stands first is served, and moves back by what was
--                                claimed. In it is every tenant with a frame to claim, and some that are found to have none
--   mr:line:{lane}:{tenant}  zset job → when it was last served (or when its next frame falls due): a tenant's jobs in turn
--   mr:later:{lane}        zset tenant → when its next frame falls due; only tenants that are not in line
--   mr:suspects:{lane}     zset job → when its first suspect may be claimed
--   mr:turns               claims in a row from interactive while bulk waited      mr:drain  there while a child drains
--   mr:leases              zset token → deadline                         mr:claims  hash token → the claim
--   mr:step:{kind}         zset job → due, or the deadline of the step's lease; kind: plan, finish
--   mr:steps:{kind}        zset tenant → its place, in milliseconds: whoever stands first is served, and moves back by the time
--                                that its steps take. In it is every tenant with such a step, and some that have none any more
--   mr:steps:{kind}:{tenant}  zset job → as in mr:step:{kind}, which counts where the two differ: a tenant's steps
--   mr:assembling          zset "job item part" → due, or the deadline of its lease; :tokens, :tries hashes beside it
--   mr:outbox              zset "job event" → due, or the lease's deadline; :attempts, :tokens, :last, :traces hashes beside it
--                                :waits hash → "place most", where it waits for a place among the deliveries under way
--   mr:failing:{host}      how often in a row it failed       mr:resting:{host}  there while it is left alone
--   mr:callbacks:{host}    zset token → deadline, the deliveries under way to one host, or of one tenant
--   mr:tenant:{tenant}     zset job → created                       mr:running  zset job → created; the running jobs
--   mr:deadlines           zset job → when it is to be cancelled; only jobs that have a deadline before them
--   mr:live:{tenant}       set of the jobs that are not over
--   mr:load:{tenant}       hash job, or unused upload → "jobs frames interactive bytes", what it counts towards the tenant's quotas
--   mr:used:{tenant}       hash jobs frames interactive bytes, the sums over mr:load:{tenant}
--   mr:holds:{tenant}      zset job → when its room is given up; only jobs that are being accepted and have no record yet
--   mr:uploads:{tenant}    zset upload → when it is forgotten; only uploads that no job has used. The sweep takes them out when it
--                                removes them from storage, so that a clock that went back frees their bytes no later
--   mr:loops:{task}        zset loop → deadline      mr:woken:{task}  zset wake-up → deadline
--   mr:asked               string, written to see whether Redis takes writes
--   mr:accepting:{job}     string, while a submission under an idempotency key is being accepted
--   mr:flow:{endpoint}     hash  run_id frozen turns gate closed_until probe reason failures closings good full_at,
--                                and what flow/prelude-limit and flow/prelude-tokens say
--                                :slots zset slot → deadline; :scores hash slot → begun, place, refused, the answer's bytes
--                                :failing set of frames failing in a row; :waiters:{lane} zset "child:waiter" → arrival
--                                :seen zset "child:waiter" → forgotten; :errors:{minute} hash kind → count
--                                :reported hash child → the freeze of which it said what it has in flight
--   mr:store               string, the id of the store of the deployment that the database belongs to
--   mr:senders             zset child that may send → when it was last heard of
--   mr:bell:{bell}         channel, a notification for whoever listens (ledger/notifications.py)
--   mr:calls:{child}       list of waiters of a child that may go next
--   mr:failing             zset host → when its failures are forgotten
--   mr:counts              hash "what label" → how often, ever       mr:stages  hash "stage bucket" and "stage us" → sum
--   mr:sweep               hash  run_id last reconciled_run reconciled listed_run listing_run at_{walk}
--                                extend_to back_ms back_from (lapse.lua); mr:sweep:lock, mr:sweep:{duty}
--   mr:reconciling         zset "run_id token" → last heard of, of comparisons of storage and ledger under way; :began hash
local DUE_MOST = 2000
-- No lease and no pause of a frame or a step is longer. A moment further ahead was written before Redis' clock went back (after
-- a failover, or by hand), and counts as now.
local FAR_MS = 900000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local exact = time[1] * 1000 + time[2] / 1000

local function job_key(job, part) return 'mr:job:' .. job .. (part and ':' .. part or '') end
local function is_far(moment) return moment > now + FAR_MS end
-- The first member of a sorted set of moments that is due, or that is too far ahead.
local function first_due(key, far_ms)
  local far = '(' .. string.format('%.0f', now + (far_ms or FAR_MS))
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1)[1]
    or redis.call('ZRANGEBYSCORE', key, far, '+inf', 'LIMIT', 0, 1)[1]
end
-- How many are due, or too far ahead.
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

local function jobs_in_line(lane, tenant) return 'mr:line:' .. lane .. ':' .. tenant end

local function unready(job)
  local lane = get(job, 'lane')
  redis.call('ZREM', jobs_in_line(lane, get(job, 'tenant')), job)
  redis.call('ZREM', 'mr:suspects:' .. lane, job)
end

-- Too many frames wait for another try: no new ones are begun, so that memory is bounded on the bad path too.
local function cursor_stops(job)
  return redis.call('ZCARD', job_key(job, 'due')) + redis.call('ZCARD', job_key(job, 'suspects')) >= DUE_MOST
end

local function place(key, job, at)
  if at then redis.call('ZADD', key, string.format('%.3f', at), job) else redis.call('ZREM', key, job) end
end

-- A tenant out of line will be looked for when its next frame falls due.
local function look_later(lane, tenant)
  place('mr:later:' .. lane, tenant, earliest(jobs_in_line(lane, tenant)))
end

-- What a job counts towards the quotas of its tenant, in the order of LOADS: nothing once it is over, or when it is unknown.
local LOADS = {'jobs', 'frames', 'interactive', 'bytes'}
local NO_LOAD = {0, 0, 0, 0}
local function load_of(job)
  local state, lane, total, planned, size = unpack(redis.call('HMGET', job_key(job), 'state', 'lane', 'total', 'frames', 'size'))
  if not state or not next(MOVES[state]) then return NO_LOAD end
  local frames = 0
  if state == 'accepted' or state == 'running' then
    frames = math.max(tonumber(total), tonumber(planned)) - bit_count(job, 'settled')
  end
  return {1, frames, lane == 'interactive' and frames or 0, tonumber(size or '0')}
end

-- What is counted for a job, or for an unused upload, in the order of LOADS.
local function counted(tenant, member)
  local load = {}
  for number in string.gmatch(redis.call('HGET', 'mr:load:' .. tenant, member) or '0 0 0 0', '%d+') do
    load[#load + 1] = tonumber(number)
  end
  return load
end

-- Count this load for the job from now on, in place of what it counted before. The sums need no walk over jobs, and a job
-- that ends takes back exactly what it had added, in whatever way it ends.
local function count_load(tenant, job, load)
  local loads, used = 'mr:load:' .. tenant, 'mr:used:' .. tenant
  local before = counted(tenant, job)
  for place, name in ipairs(LOADS) do
    if load[place] ~= before[place] then redis.call('HINCRBY', used, name, string.format('%.0f', load[place] - before[place])) end
  end
  if load ~= NO_LOAD then
    redis.call('HSET', loads, job, string.format('%.0f %.0f %.0f %.0f', unpack(load)))
  elseif redis.call('HDEL', loads, job) == 1 and redis.call('EXISTS', loads) == 0 then
    redis.call('DEL', used)
  end
end

-- The upload counts no more as one that no job has used.
local function drop_upload(tenant, upload)
  redis.call('ZREM', 'mr:uploads:' .. tenant, upload)
  count_load(tenant, upload, NO_LOAD)
end

-- Count what the record says. A job without one counts what was kept for it, for as long as that is kept; so does an unused upload.
local function recount(tenant, job)
  local kept = not get(job, 'state')
    and (redis.call('ZSCORE', 'mr:holds:' .. tenant, job) or redis.call('ZSCORE', 'mr:uploads:' .. tenant, job))
  if not kept then count_load(tenant, job, load_of(job)) end
end

-- Put the job where the next claim of its lane finds it, or take it away when nothing can be claimed.
local function ready(job)
  if get(job, 'state') ~= 'running' then return unready(job) end
  local lane, tenant = get(job, 'lane'), get(job, 'tenant')
  local at = earliest(job_key(job, 'due'))
  if at and is_far(at) then at = 0 end
  if num(job, 'cursor') < num(job, 'frames') and not cursor_stops(job) then at = 0 end
  place(jobs_in_line(lane, tenant), job, at and math.max(at, math.min(num(job, 'served'), exact)))
  if not redis.call('ZSCORE', 'mr:line:' .. lane, tenant) then look_later(lane, tenant) end
  place('mr:suspects:' .. lane, job, earliest(job_key(job, 'suspects')))
end

-- The job of a tenant that is served next, nil if none can be served now. The first that is not due is placed anew if it was
-- served in the future, since Redis' clock went back; or if there is no other.
local function next_job(lane, tenant)
  local key, exactly = jobs_in_line(lane, tenant), string.format('%.3f', exact)
  local job = redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
  local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. exactly, '+inf', 'LIMIT', 0, 1)[1]
  if not ahead or (job and num(ahead, 'served') <= exact) then return job end
  ready(ahead)
  return redis.call('ZRANGEBYSCORE', key, '-inf', exactly, 'LIMIT', 0, 1)[1]
end

-- Who comes into line stands beside the first, so that nobody is owed anything for the time it had no work. Returns whether
-- anybody is in line.
local function come_into_line(lane)
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

local function steps_of(kind, tenant) return 'mr:steps:' .. kind .. ':' .. tenant end

-- Give the tenant a place among those that have steps of this kind: beside the first, so that nobody is owed anything for the
-- time it had no work. A tenant without steps leaves its place only when it stands first, as in the lanes.
local function step_into_line(kind, tenant)
  local line = 'mr:steps:' .. kind
  for _ = 1, 32 do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first or redis.call('EXISTS', steps_of(kind, first)) == 1 then break end
    redis.call('ZREM', line, first)
  end
  redis.call('ZADD', line, 'NX', earliest(line) or 0, tenant)
end

-- The tenant moves back by the time that the job's step took since it was last counted. Nothing is counted for a step that
-- nobody holds. most: what it can have taken where its holder died.
local function charge_step(kind, job, most)
  local since = num(job, kind .. '_since')
  if since == 0 then return end
  local took = math.max(0, math.min(now - since, most or FAR_MS))
  redis.call('ZADD', 'mr:steps:' .. kind, 'XX', 'INCR', took, get(job, 'tenant'))
  redis.call('HDEL', job_key(job), kind .. '_since')
end

-- The job's step is due at this moment, or its lease ends then.
local function step_at(kind, job, at)
  local tenant = get(job, 'tenant')
  step_into_line(kind, tenant)
  redis.call('ZADD', 'mr:step:' .. kind, at, job)
  redis.call('ZADD', steps_of(kind, tenant), at, job)
end

-- The job has no such step any more.
local function step_ends(kind, job, tenant)
  charge_step(kind, job)
  redis.call('ZREM', 'mr:step:' .. kind, job)
  redis.call('ZREM', steps_of(kind, tenant or get(job, 'tenant')), job)
end

-- Begin to finish when every frame has its outcome, or when a cancelled job holds no lease.
local function check_done(job)
  local state = get(job, 'state')
  local done = state == 'running' and get(job, 'planned') == '1' and bit_count(job, 'settled') == num(job, 'frames')
  if done or (state == 'cancelling' and num(job, 'leased') == 0) then
    move(job, 'finishing')
    set(job, 'scored', now)
    step_ends('plan', job)
    step_at('finish', job, now)
    unready(job)
  end
  recount(get(job, 'tenant'), job)
end

local function is_over(job)
  local state = get(job, 'state')
  return not state or not next(MOVES[state])
end

-- After every change of a job's frames. A job that is over, or unknown, stays as it is.
local function changed(job)
  if is_over(job) then return end
  touch(job)
  ready(job)
  check_done(job)
end

local function trouble(job, frame)
  local known = redis.call('HGET', job_key(job, 'trouble'), frame)
  if known then
    local record = cjson.decode(known)
    record.struck = math.min(record.struck, now)
    return record
  end
  return {attempts = 0, deaths = 0, struck = 0, code = ''}
end
local function set_trouble(job, frame, record)
  redis.call('HSET', job_key(job, 'trouble'), frame, cjson.encode(record))
end

-- The item's whole-item files are made, or no longer wanted. Returns whether it was the job's last.
local function assembled(job, item)
  local member = job .. ' ' .. item
  redis.call('ZREM', 'mr:assembling', member)
  redis.call('HDEL', 'mr:assembling:tokens', member)
  redis.call('HDEL', 'mr:assembling:tries', member)
  return redis.call('SREM', job_key(job, 'assembling'), item) == 1 and redis.call('SCARD', job_key(job, 'assembling')) == 0
end

-- What only a running job needs. UNLINK, since some of it is large; of many items that wait to be assembled, those beyond the
-- first few are dropped when they are taken.
local function drop_parts(job)
  for _, item in ipairs(redis.call('SPOP', job_key(job, 'assembling'), 15)) do assembled(job, item) end
  for _, part in ipairs({'settled', 'failed', 'due', 'suspects', 'trouble', 'spans', 'opening', 'versions', 'parts', 'refused',
    'assembling'}) do
    redis.call('UNLINK', job_key(job, part))
  end
end

local function load_claim(token)
  local known = redis.call('HGET', 'mr:claims', token)
  return known and cjson.decode(known)
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

-- The frame leaves the claim; the claim goes with its last frame. Returns whether the claim held it.
local function let_go(token, claim, frame)
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

-- A frame without outcome waits again, among the suspects or not.
local function put_back(job, frame, at, suspect)
  if settled(job, frame) or get(job, 'state') ~= 'running' then return end
  redis.call('ZADD', job_key(job, suspect and 'suspects' or 'due'), at, frame)
end

-- Whether the part is listed: 'yes', 'no', or 'unsure' where the list is too long to be searched at once. searched: how many
-- parts from the head on are known to be others, -1 where it is known to be listed. A part is searched for only if some frame of
-- it has its outcome: a listed part of which none has is one that was refused whole.
local SEARCH_MOST = 20000
local function is_listed(job, part, some_settled, searched)
  if searched < 0 or redis.call('HEXISTS', job_key(job, 'refused'), part) == 1 then return 'yes' end
  if not some_settled then return 'no' end
  local left = redis.call('LLEN', job_key(job, 'parts')) - searched
  if left <= 0 then return 'no' end
  if redis.call('LPOS', job_key(job, 'parts'), part, 'RANK', -1, 'MAXLEN', math.min(left, SEARCH_MOST)) then return 'yes' end
  return left > SEARCH_MOST and 'unsure' or 'no'
end

-- The frames refused in a listed part, as a set.
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

-- Progress, not verdict: of the items of several frames, how many are done and how, and how many of their frames are.
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

-- The item of several frames that this frame belongs to, as "first:n", or nil.
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

-- Count so many recorded outcomes, of which so many are errors.
local function count_outcomes(outcomes, failed)
  if failed > 0 then count('settled failed', failed) end
  if outcomes > failed then count('settled succeeded', outcomes - failed) end
end
