-- work(task) → how much waits for a task's loops: frames to claim now (segment), steps or deliveries due.
local task = ARGV[1]
if task == 'deliver' then return redis.call('ZCOUNT', 'mr:outbox', '-inf', now) end
if task == 'assemble' then return redis.call('ZCOUNT', 'mr:assembling', '-inf', now) end
if task ~= 'segment' then return redis.call('ZCOUNT', 'mr:step:' .. task, '-inf', now) end
local waiting = 0
for _, lane in ipairs({'interactive', 'bulk'}) do
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:ready:' .. lane, '-inf', string.format('%.3f', exact), 'LIMIT', 0, 100)) do
    waiting = waiting + redis.call('ZCOUNT', job_key(job, 'due'), '-inf', now)
    if not cursor_stops(job) then waiting = waiting + num(job, 'frames') - num(job, 'cursor') end
  end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'mr:suspects:' .. lane, '-inf', now, 'LIMIT', 0, 100)) do
    waiting = waiting + redis.call('ZCOUNT', job_key(job, 'suspects'), '-inf', now)
  end
end
return waiting
