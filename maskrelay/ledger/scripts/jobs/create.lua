-- create(job, tenant, lane, total, created, size, deadline, frames, wake_up, ttl_ms)
--   → {1 if the job had no record, the task of which a loop should be woken, or ''}
--
-- frames: how many frames the plan has, if the whole plan is in storage as one part and each item has
-- one frame; these frames can be claimed at once. 0: planning is the first step of the new job.
-- wake_up: '' if no loop should be woken. The reservations of the submission end. If the job was
-- deleted before, nothing is created. If it was cancelled before, the new record is cancelled.
local job, tenant, lane, total, created, size, deadline, frames, wake_up, ttl_ms = unpack(ARGV)
frames = tonumber(frames)
local ended = redis.call('GET', ended_key(job))
local is_new = redis.call('EXISTS', job_key(job)) == 0 and ended ~= 'deleted'
local cancelled = is_new and ended and string.match(ended, '^cancelled (.*)$')
if is_new then
  set(job, 'tenant', tenant, 'lane', lane, 'total', total, 'created', created, 'state', 'accepted', 'planned', 0,
    'frames', 0, 'cursor', 0, 'parts', 0, 'leased', 0, 'version', 1, 'served', 0, 'size', size)
  redis.call('ZADD', 'mr:tenant:' .. tenant, created, job)
  redis.call('SADD', 'mr:live:' .. tenant, job)
  redis.call('ZREM', 'mr:holds:' .. tenant, job)
  redis.call('UNLINK', 'mr:accepting:' .. job)
  if deadline ~= '' then redis.call('ZADD', 'mr:deadlines', deadline, job) end
  if frames > 0 then
    add_plan_part(job, 0, 0, frames, true, lane, total)
  else
    recount_usage(tenant, job)
    schedule_step('plan', job, now)
  end
  announce_change(job, tenant)
end
if cancelled then
  cancel_job(job, cancelled)
  redis.call('UNLINK', ended_key(job))
end
local task = cancelled and 'finish' or frames > 0 and is_new and 'segment' or 'plan'
return {is_new and 1 or 0, wake_up ~= '' and should_wake(task, 1, wake_up, tonumber(ttl_ms)) and task or ''}
