-- step_renew(kind, job, token, after_ms) → 1 if the step is still ours. Also gives it back early: after_ms = 0.
local kind, job, token, after_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if get(job, kind .. '_token') ~= token then return 0 end
if not redis.call('ZSCORE', 'mr:step:' .. kind, job) then return 0 end
redis.call('ZADD', 'mr:step:' .. kind, now + after_ms, job)
return 1
