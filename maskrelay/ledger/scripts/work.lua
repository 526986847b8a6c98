-- work(task) → how much waits for a task's loops: frames to claim now (segment), steps or deliveries due.
local task = ARGV[1]
if task == 'deliver' then return redis.call('ZCOUNT', 'mr:outbox', '-inf', now) end
if task == 'assemble' then return count_due('mr:assembling') end
if task ~= 'segment' then return count_due('mr:step:' .. task) end
local waiting, jobs, exactly = 0, 0, string.format('%.3f', exact)
local function count_jobs(lane, tenant)
  if jobs >= 100 or not next_job(lane, tenant) then return end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', jobs_in_line(lane, tenant), '-inf', exactly, 'LIMIT', 0, 100 - jobs)) do
    jobs = jobs + 1
    waiting = waiting + count_due(job_key(job, 'due'))
    if not cursor_stops(job) then waiting = waiting + num(job, 'frames') - num(job, 'cursor') end
  end
end
for _, lane in ipairs({'interactive', 'bulk'}) do
  jobs = 0
  come_into_line(lane)
  for _, tenant in ipairs(redis.call('ZRANGE', 'mr:line:' .. lane, 0, 99)) do count_jobs(lane, tenant) end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:suspects:' .. lane, '-inf', now, 'LIMIT', 0, 100)) do
    waiting = waiting + count_due(job_key(job, 'suspects'))
  end
end
return waiting
