-- cancel(job, reason) → the state before
--
-- If the job has no record, its record will be cancelled as soon as it is created.
local job, reason = ARGV[1], ARGV[2]
local state = get(job, 'state')
if state then cancel_job(job, reason) else end_before_record(job, 'cancelled ' .. reason) end
return state
