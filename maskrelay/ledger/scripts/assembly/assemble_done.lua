-- assemble_done(job, item) → 1 if the job waited for no other item, so that it is finished next
--
-- The record of the item is in storage, so it does not matter which try wrote it.
local job, item = ARGV[1], ARGV[2]
if not end_assembly(job, item) or get(job, 'state') ~= 'finishing' then return 0 end
set(job, 'assembled', now)
schedule_step('finish', job, now)
touch(job)
return 1
