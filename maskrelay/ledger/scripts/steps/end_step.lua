-- end_step(kind, job, token) → 1 if the caller still held the step, which the job no longer has then
local kind, job, token = ARGV[1], ARGV[2], ARGV[3]
if get(job, kind .. '_token') ~= token then return 0 end
end_step(kind, job)
redis.call('HDEL', job_key(job), kind .. '_token', kind .. '_tries')
return 1
