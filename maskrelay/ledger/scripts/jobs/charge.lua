-- charge(token, frame) → the attempts now held against the frame (the strike is spent), -1 when the token is lost.
local token, frame = ARGV[1], tonumber(ARGV[2])
local claim = load_claim(token)
if not claim or not holds(claim, frame) or is_over(claim.job) or settled(claim.job, frame) then return -1 end
local record = trouble(claim.job, frame)
record.attempts, record.struck = record.attempts + 1, 0
set_trouble(claim.job, frame, record)
return record.attempts
