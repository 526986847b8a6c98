-- step(kind, token, lease_ms) → the job whose step is due, now ours until the lease lapses; nil when none is; '' when all that
-- were looked at are unknown, and it should be called again. Each time a step is taken counts as a try, until it makes progress or an
-- outage is found to be why it did not.
local kind, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local queue = 'mr:step:' .. kind
for _ = 1, 50 do
  local job = first_due(queue, 2 * lease_ms + 60000)
  if not job then return nil end
  if get(job, 'state') then
    redis.call('ZADD', queue, now + lease_ms, job)
    set(job, kind .. '_token', token)
    redis.call('HINCRBY', job_key(job), kind .. '_tries', 1)
    return job
  end
  redis.call('ZREM', queue, job)
end
return ''
