-- settle(job, part, lines, spent, finish_token, lease_ms, searched) → {the accepted frames, tries, record, parts,
--   endpoints}, or nil if the list of parts must be searched first
--
-- lines: {token, frame, failed}, decided frame by frame. spent: cause → milliseconds, added to the
-- job once for each part. searched: as in is_listed. If this makes a job of one frame ready to be
-- finished, the holder of finish_token (if it is not empty) holds that step for a lease, and tries is
-- the number of its tries; otherwise tries is 0. Only for that holder, the answer has what it needs to
-- finish the job: the record of the job as JSON, the list of parts (list_parts), and the endpoints
-- that workers have announced.
--
-- A line is accepted if the token holds the frame and the frame has no outcome yet. The part is
-- listed whether or not anything was accepted, so that a refused line cannot count later. A part
-- that is already listed gets the same answer as when it was listed. A job that is unknown, has not
-- begun or is over refuses all lines and creates nothing. In every case, the tokens release their
-- frames.
local job, part, lines = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local finish_token, lease_ms = ARGV[5], tonumber(ARGV[6])
local PARTS_MOST = 100 -- a job whose only frame was settled more often is finished by a control worker
local state = get(job, 'state')
local open = state == 'running' or state == 'cancelling'
local some_settled, has_outcome, errors = false, {}, 0
for _, line in ipairs(lines) do
  has_outcome[line[2]] = settled(job, line[2])
  some_settled = some_settled or has_outcome[line[2]]
end
local listed = is_listed(job, part, some_settled, tonumber(ARGV[7] or '0'))
if listed == 'unsure' then return nil end
local refused_before = listed == 'yes' and refused_in(job, part)
local accepted, refused, numbered = {}, {}, {}
for _, line in ipairs(lines) do
  local token, frame, failed = line[1], line[2], line[3]
  local claim = load_claim(token)
  local held = claim and claim.job == job and release_frame(token, claim, frame)
  if refused_before then
    if not refused_before[frame] then accepted[#accepted + 1] = frame end
  elseif open and held and not has_outcome[frame] then
    if record_outcome(job, frame, failed) then numbered[#numbered + 1] = frame end
    has_outcome[frame], errors = true, errors + (failed and 1 or 0)
    accepted[#accepted + 1] = frame
  else
    refused[#refused + 1] = frame
  end
end
if not refused_before and open then
  count_outcomes(#accepted, errors)
  for cause, ms in pairs(cjson.decode(ARGV[4])) do redis.call('HINCRBY', job_key(job), 'spent_' .. cause, ms) end
end
if not refused_before and (open or state == 'finishing') then list_part(job, part, refused, numbered) end
frames_changed(job)
local is_ready = get(job, 'state') == 'finishing' and num(job, 'frames') == 1 and get(job, 'planned') == '1'
  and redis.call('LLEN', job_key(job, 'parts')) <= PARTS_MOST
local is_ours = state ~= 'finishing' or get(job, 'finish_token') == finish_token
local tries = finish_token ~= '' and is_ready and is_ours and hold_step('finish', job, finish_token, lease_ms) or 0
if tries == 0 then return {accepted, 0} end
return {accepted, tries, cjson.encode(job_record(job)), list_parts(job, 0, -1), redis.call('HVALS', 'mr:endpoints')}
