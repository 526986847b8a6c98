-- release(token, frame, after_ms, suspect) → 1 if the token held the frame. Nobody is charged. A suspect stays one.
local token, frame, after_ms, suspect = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local claim = load_claim(token)
if not claim or not let_go(token, claim, frame) then return 0 end
put_back(claim.job, frame, now + after_ms, suspect or claim.alone)
changed(claim.job)
return 1
