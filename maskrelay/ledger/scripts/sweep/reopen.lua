-- reopen(job, token, frames, last) → 1. Finish found no line for these settled frames: they wait again. Refused for a cancelled
-- job. Every other frame has its outcome, so the cursor goes back to the first of them and finds just these. Many frames come in
-- several calls; the job runs again with the last.
local job, token, frames = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if get(job, 'finish_token') ~= token or get(job, 'cancel') or get(job, 'state') ~= 'finishing' then return 0 end
local cursor = num(job, 'cursor')
for _, frame in ipairs(frames) do
  redis.call('SETBIT', job_key(job, 'settled'), frame, 0)
  redis.call('SETBIT', job_key(job, 'failed'), frame, 0)
  cursor = math.min(cursor, frame)
end
set(job, 'cursor', cursor)
if ARGV[4] ~= '1' then return 1 end
if not move(job, 'running') then return 0 end
step_ends('finish', job)
redis.call('HDEL', job_key(job), 'finish_token', 'finish_tries')
ready(job)
check_done(job)
return 1
