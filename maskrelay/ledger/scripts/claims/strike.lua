-- strike(token, frame, code, after_ms, endpoint) → 1 if the token held the frame. The endpoint failed on it: remembered, not yet held
-- against it.
local token, frame, code, after_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local claim = load_claim(token)
if not claim or not let_go(token, claim, frame) then return 0 end
local job = claim.job
if get(job, 'state') == 'running' and not settled(job, frame) then
  local record = trouble(job, frame)
  record.struck, record.code, record.endpoint = now, code, ARGV[5]
  set_trouble(job, frame, record)
  put_back(job, frame, now + after_ms, claim.alone)
end
changed(job)
return 1
