-- The clock, and the keys of the ledger. All times are taken from the clock of Redis, in
-- milliseconds.
--
--   mr:job:{job}           hash, the record of a job: tenant lane state planned total size frames cursor parts leased
--                          version served created started finished cancel halted in_spans spans_{how}; {kind}_token
--                          {kind}_tries {kind}_since (kind: plan, finish, tabulate); claimed scored assembling assembled told
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
--   mr:part_numbers:{job}  string, 4 bytes for each frame: which part of the list has its outcome, counted from 1 (0:
--                          unknown), only for the frames of items that have several
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
--   mr:load:{tenant}       hash job, or unused upload → "jobs frames interactive bytes round": what it counts towards
--                          the quotas, and the last recount that includes it
--   mr:used:{tenant}       hash jobs frames interactive bytes: the sums over mr:load:{tenant}. During a recount also
--                          round, its number, and next_jobs next_frames next_interactive next_bytes, its sums so far
--   mr:holds:{tenant}      zset job → when its reservation of quota expires, only while the job is being accepted
--   mr:uploads:{tenant}    zset upload → when it expires, only for uploads that no job has used. The sweep removes an
--                          upload from here when it removes it from storage, so that a clock that went back does not
--                          free its bytes early
--   mr:loops:{task}        zset loop → deadline
--   mr:woken:{task}        zset wake-up → deadline
--   mr:asked               string, written to check that Redis accepts writes
--   mr:accepting:{job}     string, exists while a submission with an idempotency key is being accepted
--   mr:ended:{job}         string, exists for a while after a job without a record was cancelled or deleted: its record
--                          may be about to be created (jobs/prelude-ended.lua)
--   mr:flow:{endpoint}     hash run_id frozen turns gate closed_until probe reason failures closings good excused
--                          full_at, and the fields described in flow/prelude-limit.lua and flow/prelude-tokens.lua;
--                          :slots zset slot → deadline; :scores hash slot → "begun place refused answer_bytes";
--                          :failing set of the frames that failed in a row; :waiters:{lane} zset "child:waiter" →
--                          arrival; :requests hash "child:waiter" → what it waits for, as JSON (flow/prelude.lua);
--                          :seen zset "child:waiter" → when it is forgotten; :errors:{minute} hash kind → count;
--                          :reported hash child → the freeze for which it reported what it has in flight
--   mr:calls:{child}       list of "endpoint:waiter" for the waiters of a child that were granted a slot, and of
--                          "waiter" for those that should ask again
--   mr:store               string, the id of the store of the deployment that this database belongs to
--   mr:senders             zset child that may send requests → when it was last heard of
--   mr:bell:{bell}         channel for notifications (ledger/notifications.py)
--   mr:counts              hash "what label" → how often since the database was created
--   mr:stages              hash "stage bucket" → count, and "stage us" → sum
--   mr:sweep               hash run_id last reconciled_run reconciled listed_run listing_run at_{walk}, and extend_to
--                          back_ms back_from (claims/lapse.lua)
--   mr:sweep:lock, mr:sweep:{duty}  strings, locks of the sweep
--   mr:tables:{place}:rests  string, exists until the place of result tables may be used again
--   mr:tables:{place}:failures  string, its consecutive failures
--   mr:uncompared          set of the jobs that the next pass of the sweep compares with storage
--   mr:reconciling         zset "run_id token" → when this comparison of storage and ledger was last heard of
--   mr:reconciling:began   hash "run_id token" → when it began

-- No lease and no pause of a frame or a step is longer. A moment further ahead was written before
-- the clock of Redis went back (after a failover, or by hand), and counts as now.
local FAR_MS = 900000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local exact = time[1] * 1000 + time[2] / 1000

-- Return a field of the server's INFO as text, or nil.
local function info_field(section, name) return string.match(redis.call('INFO', section), '\n' .. name .. ':([^\r\n]*)') end

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

local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

local function earliest(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

-- Give the member this moment in a sorted set, or remove it where there is none.
local function set_or_remove(key, member, at)
  if at then redis.call('ZADD', key, string.format('%.3f', at), member) else redis.call('ZREM', key, member) end
end
