-- step_renew(kind, job, token, lease_ms) → 1 if the caller still holds the step, for another lease
local kind, job, token, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if get(job, kind .. '_token') ~= token then return 0 end
if not redis.call('ZSCORE', 'mr:step:' .. kind, job) then return 0 end
charge_step(kind, job)
set(job, kind .. '_since', now)
schedule_step(kind, job, now + lease_ms)
return 1
