-- reopen(job, token, frames) → 1. Finish found no line for these settled frames: they wait again. Refused for a cancelled job.
-- Every other frame has its outcome, so the cursor goes back to the first of them and finds just these.
local job, token, frames = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if get(job, 'finish_token') ~= token or get(job, 'cancel') or not move(job, 'running') then return 0 end
local cursor = num(job, 'frames')
for _, frame in ipairs(frames) do
  redis.call('SETBIT', job_key(job, 'settled'), frame, 0)
  redis.call('SETBIT', job_key(job, 'failed'), frame, 0)
  cursor = math.min(cursor, frame)
end
set(job, 'cursor', cursor)
redis.call('ZREM', 'mr:step:finish', job)
redis.call('HDEL', job_key(job), 'finish_token')
ready(job)
check_done(job)
return 1
