-- step_back(kind, job, token, after_ms, how) → 1 if the step was still ours and can now be taken again after a while. how: 'progressed':
-- tries are counted anew; 'outage': this try does not count, whoever holds the step by now; 'failed': it does.
local kind, job, token, after_ms, how = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local tries = kind .. '_tries'
local ours = get(job, kind .. '_token') == token
if how == 'outage' and num(job, tries) > 0 then redis.call('HINCRBY', job_key(job), tries, -1) end
if how == 'progressed' and ours then redis.call('HDEL', job_key(job), tries) end
if not ours or not redis.call('ZSCORE', 'mr:step:' .. kind, job) then return 0 end
charge_step(kind, job)
step_at(kind, job, now + after_ms)
return 1
