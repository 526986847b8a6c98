-- queue_step(kind, job, after_ms) → 1 if the job's step is due after this pause, or was due before
--
-- A step that a worker holds is left alone: the worker puts it back into the queue itself. A job without a record has no
-- step.
local kind, job, after_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not get(job, 'state') then return 0 end
local at = tonumber(redis.call('ZSCORE', 'mr:step:' .. kind, job) or '')
if at and (num(job, kind .. '_since') > 0 or at <= now + after_ms) then return 1 end
schedule_step(kind, job, now + after_ms)
return 1
