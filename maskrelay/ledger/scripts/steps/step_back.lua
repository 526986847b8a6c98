-- step_back(kind, job, token, after_ms, how) → 1 if the caller still held the step
--
-- The step can be taken again after the pause. how: 'progressed': the tries are counted anew;
-- 'outage': this try is not counted, whoever holds the step by now; 'failed': it is counted.
local kind, job, token, after_ms, how = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local tries = kind .. '_tries'
local is_holder = get(job, kind .. '_token') == token
if how == 'outage' and num(job, tries) > 0 then redis.call('HINCRBY', job_key(job), tries, -1) end
if how == 'progressed' and is_holder then redis.call('HDEL', job_key(job), tries) end
if not is_holder or not redis.call('ZSCORE', 'mr:step:' .. kind, job) then return 0 end
charge_step(kind, job)
schedule_step(kind, job, now + after_ms)
return 1
