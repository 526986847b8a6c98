-- settle(job, part, lines, spent, searched) → the accepted frames, or nil where the list of parts must be searched first.
-- lines: {token, frame, failed}; decided frame by frame. spent: cause → milliseconds, added to the job's once a part.
-- searched: as in is_listed.
-- Accepted: the token holds the frame and the frame has no outcome yet. The part is listed whatever was accepted, so that
-- a refused line never counts while the list exists. A part that is listed already is answered as it was listed. A job that
-- is unknown, not begun or over refuses all and creates nothing. The tokens let go of their frames in any case.
local job, part, lines = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local state = get(job, 'state')
local open = state == 'running' or state == 'cancelling'
local some_settled, outcome, errors = false, {}, 0
for _, line in ipairs(lines) do
  outcome[line[2]] = settled(job, line[2])
  some_settled = some_settled or outcome[line[2]]
end
local listed = is_listed(job, part, some_settled, tonumber(ARGV[5] or '0'))
if listed == 'unsure' then return nil end
local known = listed == 'yes' and refused_in(job, part)
local accepted, refused = {}, {}
for _, line in ipairs(lines) do
  local token, frame, failed = line[1], line[2], line[3]
  local claim = load_claim(token)
  local held = claim and claim.job == job and let_go(token, claim, frame)
  if known then
    if not known[frame] then accepted[#accepted + 1] = frame end
  elseif open and held and not outcome[frame] then
    record_outcome(job, frame, failed)
    outcome[frame], errors = true, errors + (failed and 1 or 0)
    accepted[#accepted + 1] = frame
  else
    refused[#refused + 1] = frame
  end
end
if not known and open then
  count_outcomes(#accepted, errors)
  for cause, ms in pairs(cjson.decode(ARGV[4])) do redis.call('HINCRBY', job_key(job), 'spent_' .. cause, ms) end
end
if not known and (open or state == 'finishing') then list_part(job, part, refused) end
changed(job)
return accepted
