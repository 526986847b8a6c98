-- record_failure(token, frame, code, after_ms, endpoint) → 1 if the token held the frame
--
-- The endpoint failed on the frame. The failure is recorded, but does not count as an attempt yet
-- (count_attempt.lua).
local token, frame, code, after_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local claim = load_claim(token)
if not claim or not release_frame(token, claim, frame) then return 0 end
local job = claim.job
if get(job, 'state') == 'running' and not settled(job, frame) then
  local record = failure_record(job, frame)
  record.struck, record.code, record.endpoint = now, code, ARGV[5]
  save_failure_record(job, frame, record)
  requeue(job, frame, now + after_ms, claim.alone)
end
frames_changed(job)
return 1
