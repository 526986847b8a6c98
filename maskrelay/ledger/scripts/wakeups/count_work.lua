-- count_work(task, what) → how much work there is for the task's loops: frames that can be claimed now (segment), else due
--   steps or deliveries, and for plan also the surveys of chunks, unless `what` is 'steps'
local task, what = ARGV[1], ARGV[2]
if task == 'deliver' then return redis.call('ZCOUNT', 'mr:outbox', '-inf', now) end
if task == 'assemble' then return count_due('mr:assembling') end
if task == 'plan' and what ~= 'steps' then return count_due('mr:step:plan') + count_due('mr:surveying') end
if task ~= 'segment' then return count_due('mr:step:' .. task) end
local JOBS_MOST = 100 -- jobs that are looked at in each lane
local waiting, jobs, exactly = 0, 0, string.format('%.3f', exact)

local function count_job(job)
  local due, suspects = redis.call('ZCARD', job_key(job, 'due')), redis.call('ZCARD', job_key(job, 'suspects'))
  if due > 0 then waiting = waiting + count_due(job_key(job, 'due')) end
  if due + suspects >= DUE_MOST then return end
  local progress = redis.call('HMGET', job_key(job), 'frames', 'cursor')
  waiting = waiting + tonumber(progress[1] or '0') - tonumber(progress[2] or '0')
end

local function count_jobs(lane, tenant)
  local function first_jobs() return redis.call('ZRANGEBYSCORE', jobs_key(lane, tenant), '-inf', exactly, 'LIMIT', 0, JOBS_MOST - jobs) end
  local found = first_jobs()
  if not found[1] and next_job(lane, tenant) then found = first_jobs() end
  for _, job in ipairs(found) do count_job(job) end
  jobs = jobs + #found
end

for _, lane in ipairs({'interactive', 'bulk'}) do
  jobs = 0
  admit_due_tenants(lane)
  for _, tenant in ipairs(redis.call('ZRANGE', 'mr:line:' .. lane, 0, JOBS_MOST - 1)) do
    if jobs < JOBS_MOST then count_jobs(lane, tenant) end
  end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:suspects:' .. lane, '-inf', now, 'LIMIT', 0, JOBS_MOST - jobs)) do
    waiting = waiting + count_due(job_key(job, 'suspects'))
  end
end
return waiting
