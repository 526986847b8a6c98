-- forget(job, tenant, events, deleted) → {known, more}
--
-- Deletes everything about the job. known: 1 if the job had a record. Holders lose their claims, so
-- that work in progress is refused when it arrives, and deliveries end. more: 1 if the job has
-- claims left and the script should be called again. Until then, or until they lapse, these are
-- claims on an unknown job. deleted: '1' if a request has just deleted the job. If the job has no
-- record, then none will be created.
local job, tenant = ARGV[1], ARGV[2]
local known = redis.call('EXISTS', job_key(job))
if ARGV[4] == '1' and known == 0 then end_before_record(job, 'deleted') end
for _, token in ipairs(redis.call('SPOP', job_key(job, 'claims'), 20)) do drop_claim(token) end
for _, lane in ipairs({'interactive', 'bulk'}) do
  redis.call('ZREM', jobs_key(lane, tenant), job)
  redis.call('ZREM', 'mr:suspects:' .. lane, job)
end
for _, kind in ipairs({'plan', 'finish', 'tabulate'}) do end_step(kind, job, tenant) end
for _, event in ipairs(cjson.decode(ARGV[3])) do
  local member = job .. ' ' .. event
  redis.call('ZREM', 'mr:outbox', member)
  redis.call('HDEL', 'mr:outbox:attempts', member)
  redis.call('HDEL', 'mr:outbox:last', member)
  redis.call('HDEL', 'mr:outbox:traces', member)
  redis.call('HDEL', 'mr:outbox:tokens', member)
  redis.call('HDEL', 'mr:outbox:waits', member)
end
drop_working_keys(job)
redis.call('DEL', job_key(job), 'mr:accepting:' .. job)
redis.call('ZREM', 'mr:tenant:' .. tenant, job)
redis.call('ZREM', 'mr:running', job)
redis.call('SREM', 'mr:live:' .. tenant, job)
redis.call('ZREM', 'mr:deadlines', job)
redis.call('ZREM', 'mr:holds:' .. tenant, job)
count_usage(tenant, job, NO_USAGE)
if known == 1 then announce_change(job, tenant) end
return {known, redis.call('EXISTS', job_key(job, 'claims'))}
