-- conclude(job, tenant, lane, total, created, state, fields) → 1 if the ledger did not know, 2 if not even of the job. Storage is the verdict: a job that is
-- finished there is finished here, from any state but a terminal one, and what only a running job needs goes.
-- fields: {name, value, …}.
local job, tenant, lane, total, created, state = unpack(ARGV)
local before = get(job, 'state')
if before and is_over(job) then return 0 end
if before then unready(job) end
for _, kind in ipairs({'plan', 'finish'}) do step_ends(kind, job, tenant) end
set(job, 'tenant', tenant, 'lane', lane, 'total', total, 'created', created, 'state', state, 'planned', 1, 'leased', 0,
  unpack(cjson.decode(ARGV[7])))
redis.call('HSETNX', job_key(job), 'finished', now)
redis.call('HDEL', job_key(job), 'plan_token', 'finish_token', 'plan_tries', 'finish_tries')
touch(job)
count('ended ' .. state)
redis.call('ZREM', 'mr:running', job)
redis.call('ZADD', 'mr:tenant:' .. tenant, created, job)
redis.call('SREM', 'mr:live:' .. tenant, job)
redis.call('ZREM', 'mr:deadlines', job)
redis.call('ZREM', 'mr:holds:' .. tenant, job)
count_load(tenant, job, NO_LOAD)
drop_parts(job)
redis.call('PUBLISH', 'mr:bell:ended', job)
return before and 1 or 2
