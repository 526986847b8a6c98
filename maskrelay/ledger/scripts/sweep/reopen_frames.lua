-- reopen_frames(job, token, frames, last) → 1, or 0 for a cancelled job or unless the caller holds the step
--
-- Finishing found no line for these settled frames, so they must be processed again. Every other
-- frame has an outcome, so the cursor goes back to the first of them and finds only these. Many
-- frames are passed in several calls; the call with `last` makes the job run again.
local job, token, frames = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if get(job, 'finish_token') ~= token or get(job, 'cancel') or get(job, 'state') ~= 'finishing' then return 0 end
local cursor = num(job, 'cursor')
for _, frame in ipairs(frames) do
  drop_outcome(job, frame)
  cursor = math.min(cursor, frame)
end
set(job, 'cursor', cursor)
if ARGV[4] ~= '1' then return 1 end
if not move(job, 'running') then return 0 end
end_step('finish', job)
redis.call('HDEL', job_key(job), 'finish_token', 'finish_tries')
make_claimable(job)
finish_if_done(job)
return 1
