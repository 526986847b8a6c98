-- release(token, frame, after_ms, suspect) → 1 if the token held the frame
--
-- The frame can be claimed again after the pause, and no attempt is counted. A suspect stays a
-- suspect.
local token, frame, after_ms, suspect = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local claim = load_claim(token)
if not claim or not release_frame(token, claim, frame) then return 0 end
requeue(claim.job, frame, now + after_ms, suspect or claim.alone)
frames_changed(claim.job)
return 1
