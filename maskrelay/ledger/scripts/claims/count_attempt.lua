-- count_attempt(token, frame) → the attempts that now count against the frame, or -1 if the token no longer holds it
--
-- Turns the recorded failure of the frame (record_failure.lua) into a counted attempt.
local token, frame = ARGV[1], tonumber(ARGV[2])
local claim = load_claim(token)
if not claim or not holds(claim, frame) or is_over(claim.job) or settled(claim.job, frame) then return -1 end
local record = failure_record(claim.job, frame)
record.attempts, record.struck = record.attempts + 1, 0
save_failure_record(claim.job, frame, record)
return record.attempts
