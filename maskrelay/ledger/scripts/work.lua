-- work(task) → how much waits for a task's loops: frames to claim now (segment), steps or deliveries due.
local task = ARGV[1]
if task == 'deliver' then return redis.call('ZCOUNT', 'mr:outbox', '-inf', now) end
if task == 'assemble' then return redis.call('ZCOUNT', 'mr:assembling', '-inf', now) end
if task ~= 'segment' then return redis.call('ZCOUNT', 'mr:step:' .. task, '-inf', now) end
local waiting, jobs, exactly = 0, 0, string.format('%.3f', exact)
local function count_jobs(lane, tenant)
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', jobs_in_line(lane, tenant), '-inf', exactly, 'LIMIT', 0, 100 - jobs)) do
    jobs = jobs + 1
    waiting = waiting + redis.call('ZCOUNT', job_key(job, 'due'), '-inf', now)
    if not cursor_stops(job) then waiting = waiting + num(job, 'frames') - num(job, 'cursor') end
  end
end
for _, lane in ipairs({'interactive', 'bulk'}) do
  jobs = 0
  for _, tenant in ipairs(redis.call('ZRANGE', 'mr:line:' .. lane, 0, 99)) do count_jobs(lane, tenant) end
  for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', 'mr:later:' .. lane, '-inf', exactly, 'LIMIT', 0, 100)) do
    count_jobs(lane, tenant)
  end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:suspects:' .. lane, '-inf', now, 'LIMIT', 0, 100)) do
    waiting = waiting + redis.call('ZCOUNT', job_key(job, 'suspects'), '-inf', now)
  end
end
return waiting
