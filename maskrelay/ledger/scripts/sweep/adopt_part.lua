-- adopt_part(job, part, lines, searched) → how many frames were settled, or nil if the list of parts must be searched first
--
-- For a part in storage that the ledger does not list, because its writer died before it settled,
-- or because Redis was lost. lines: {frame, failed, visible}. A line is refused if it is not the
-- visible line of its frame, or if the frame already has an outcome. A part that is listed, or
-- whose job is over, changes nothing. searched: as in is_listed.
local job, part, lines = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if is_over(job) then return 0 end
local some_settled, has_outcome, errors = false, {}, 0
for _, line in ipairs(lines) do
  has_outcome[line[1]] = settled(job, line[1])
  some_settled = some_settled or has_outcome[line[1]]
end
local listed = is_listed(job, part, some_settled, tonumber(ARGV[4] or '0'))
if listed == 'unsure' then return nil end
if listed == 'yes' then return 0 end
local taken, refused, numbered, planned = 0, {}, {}, num(job, 'frames')
for _, line in ipairs(lines) do
  local frame, failed, visible = line[1], line[2], line[3]
  if not visible or has_outcome[frame] then
    refused[#refused + 1] = frame
  else
    -- the item of a frame that is not planned again yet is unknown
    if record_outcome(job, frame, failed) or frame >= planned then numbered[#numbered + 1] = frame end
    has_outcome[frame], errors = true, errors + (failed and 1 or 0)
    redis.call('ZREM', job_key(job, 'due'), frame)
    redis.call('ZREM', job_key(job, 'suspects'), frame)
    taken = taken + 1
  end
end
count_outcomes(taken, errors)
list_part(job, part, refused, numbered)
frames_changed(job)
return taken
