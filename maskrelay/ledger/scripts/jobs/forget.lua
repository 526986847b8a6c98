-- forget(job, tenant, events) → {known, more}. known: 1 if the job was known. Nothing of it stays: its claims are lost to who holds
-- them, so that what is under way is refused when it comes; its deliveries end. more: 1 if it has claims left, and the script
-- should be called again. Until then, or until they lapse, they are claims of a job that is unknown.
local job, tenant = ARGV[1], ARGV[2]
local known = redis.call('EXISTS', job_key(job))
for _, token in ipairs(redis.call('SPOP', job_key(job, 'claims'), 20)) do drop_claim(token) end
for _, lane in ipairs({'interactive', 'bulk'}) do
  redis.call('ZREM', jobs_in_line(lane, tenant), job)
  redis.call('ZREM', 'mr:suspects:' .. lane, job)
end
for _, kind in ipairs({'plan', 'finish'}) do step_ends(kind, job, tenant) end
for _, event in ipairs(cjson.decode(ARGV[3])) do
  local member = job .. ' ' .. event
  redis.call('ZREM', 'mr:outbox', member)
  redis.call('HDEL', 'mr:outbox:attempts', member)
  redis.call('HDEL', 'mr:outbox:last', member)
  redis.call('HDEL', 'mr:outbox:traces', member)
  redis.call('HDEL', 'mr:outbox:tokens', member)
  redis.call('HDEL', 'mr:outbox:waits', member)
end
drop_parts(job)
redis.call('DEL', job_key(job), 'mr:accepting:' .. job)
redis.call('ZREM', 'mr:tenant:' .. tenant, job)
redis.call('ZREM', 'mr:running', job)
redis.call('SREM', 'mr:live:' .. tenant, job)
redis.call('ZREM', 'mr:deadlines', job)
redis.call('ZREM', 'mr:holds:' .. tenant, job)
count_load(tenant, job, NO_LOAD)
return {known, redis.call('EXISTS', job_key(job, 'claims'))}
