-- adopt(job, part, lines, searched) → how many frames it settled, or nil where the list of parts must be searched first.
-- For a part in storage that the ledger does not list: its writer died before it settled, or Redis was lost. lines: {frame, failed,
-- visible}; a line that is not its frame's visible one, or whose frame has an outcome already, is refused. A part that is listed, or
-- whose job is over, changes nothing. searched: as in is_listed.
local job, part, lines = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if is_over(job) then return 0 end
local some_settled, outcome, errors = false, {}, 0
for _, line in ipairs(lines) do
  outcome[line[1]] = settled(job, line[1])
  some_settled = some_settled or outcome[line[1]]
end
local listed = is_listed(job, part, some_settled, tonumber(ARGV[4] or '0'))
if listed == 'unsure' then return nil end
if listed == 'yes' then return 0 end
local refused, taken = {}, 0
for _, line in ipairs(lines) do
  local frame, failed, visible = line[1], line[2], line[3]
  if not visible or outcome[frame] then
    refused[#refused + 1] = frame
  else
    record_outcome(job, frame, failed)
    outcome[frame], errors = true, errors + (failed and 1 or 0)
    redis.call('ZREM', job_key(job, 'due'), frame)
    redis.call('ZREM', job_key(job, 'suspects'), frame)
    taken = taken + 1
  end
end
count_outcomes(taken, errors)
list_part(job, part, refused)
changed(job)
return taken
