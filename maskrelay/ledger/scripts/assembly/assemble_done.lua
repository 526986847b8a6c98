-- assemble_done(job, item) → 1 if it was the last the job waited for: it is finished next. Storage holds the item's record, so it
-- does not matter whose try it was.
local job, item = ARGV[1], ARGV[2]
if not assembled(job, item) or get(job, 'state') ~= 'finishing' then return 0 end
set(job, 'assembled', now)
step_at('finish', job, now)
touch(job)
return 1
