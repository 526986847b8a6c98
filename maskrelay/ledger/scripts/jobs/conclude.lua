-- conclude(job, tenant, lane, total, created, state, fields) → 1 if the job was not over in the ledger, 2 if it was
--   unknown, else 0
--
-- Storage decides: a job that is finished there becomes finished here, from any state that is not
-- terminal, and loses the keys that only an unfinished job needs. fields: {name, value, …}.
local job, tenant, lane, total, created, state = unpack(ARGV)
local before = get(job, 'state')
if before and is_over(job) then return 0 end
if before then make_unclaimable(job) end
for _, kind in ipairs({'plan', 'finish'}) do end_step(kind, job, tenant) end
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
count_usage(tenant, job, NO_USAGE)
drop_working_keys(job)
redis.call('PUBLISH', 'mr:bell:ended', job)
return before and 1 or 2
