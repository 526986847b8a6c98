-- create(job, tenant, lane, total, created, size, deadline) → 1 if the job had no record
--
-- Planning is the first step of the new job.
local job, tenant, lane, total, created, size, deadline = unpack(ARGV)
if redis.call('EXISTS', job_key(job)) == 1 then return 0 end
set(job, 'tenant', tenant, 'lane', lane, 'total', total, 'created', created, 'state', 'accepted', 'planned', 0,
  'frames', 0, 'cursor', 0, 'parts', 0, 'leased', 0, 'version', 1, 'served', 0, 'size', size)
redis.call('ZADD', 'mr:tenant:' .. tenant, created, job)
redis.call('SADD', 'mr:live:' .. tenant, job)
redis.call('ZREM', 'mr:holds:' .. tenant, job)
recount_usage(tenant, job)
if deadline ~= '' then redis.call('ZADD', 'mr:deadlines', deadline, job) end
schedule_step('plan', job, now)
announce_change(job, tenant)
return 1
