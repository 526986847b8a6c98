-- extend(job, token, part, first, n, last, lane, items) → 1, or 0 unless the caller holds the step and the part is the
--   next
--
-- Adds a part of the plan to the job. Items of several frames in this part were added before
-- (record_spans.lua).
local job, token, part, first, n, last, lane, items = unpack(ARGV)
if get(job, 'plan_token') ~= token then return 0 end
return add_plan_part(job, tonumber(part), tonumber(first), tonumber(n), last == '1', lane, items) and 1 or 0
