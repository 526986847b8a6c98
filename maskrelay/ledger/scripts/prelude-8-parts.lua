-- The list of outcome parts.

-- Whether the part is listed: 'yes', 'no', or 'unsure' when the list is too long to be searched in
-- one call. `searched`: how many parts from the head of the list are known to be others, or -1 if
-- the part is known to be listed. A part is searched for only if one of its frames has an outcome:
-- a listed part in which no frame has one was refused as a whole, and is in `refused`.
local SEARCH_MOST = 20000
local function is_listed(job, part, some_settled, searched)
  if searched < 0 or redis.call('HEXISTS', job_key(job, 'refused'), part) == 1 then return 'yes' end
  if not some_settled then return 'no' end
  local left = redis.call('LLEN', job_key(job, 'parts')) - searched
  if left <= 0 then return 'no' end
  if redis.call('LPOS', job_key(job, 'parts'), part, 'RANK', -1, 'MAXLEN', math.min(left, SEARCH_MOST)) then return 'yes' end
  return left > SEARCH_MOST and 'unsure' or 'no'
end

-- Return the frames that were refused in a listed part, as a set.
local function refused_in(job, part)
  local refused = redis.call('HGET', job_key(job, 'refused'), part)
  local set = {}
  for frame in string.gmatch(refused or '', '%d+') do set[tonumber(frame)] = true end
  return set
end

-- Record that the outcomes of these frames are in the part of this number. Neighbouring frames are
-- written with one command.
local function set_part_number(job, frames, number)
  table.sort(frames)
  local packed, first = struct.pack('>I4', number), 1
  for last = 1, #frames do
    if frames[last + 1] ~= frames[last] + 1 then
      redis.call('SETRANGE', 'mr:part_numbers:' .. job, 4 * frames[first], string.rep(packed, last - first + 1))
      first = last + 1
    end
  end
end

-- Add the part to the list. `refused`: the frames whose line in it does not count; `numbered`: of the
-- other frames, those whose part is recorded, because their item has several.
local function list_part(job, part, refused, numbered)
  set_part_number(job, numbered, redis.call('RPUSH', job_key(job, 'parts'), part))
  if #refused > 0 then redis.call('HSET', job_key(job, 'refused'), part, table.concat(refused, ',')) end
end

-- Return how many parts are listed, then the parts from start to stop in order, each followed by its
-- comma-separated refused frames. A call asks for at most 1000 parts.
local function list_parts(job, start, stop)
  local listed = {redis.call('LLEN', job_key(job, 'parts'))}
  local parts = redis.call('LRANGE', job_key(job, 'parts'), start, stop)
  if #parts == 0 then return listed end
  local refused = redis.call('HMGET', job_key(job, 'refused'), unpack(parts))
  for index, part in ipairs(parts) do
    listed[#listed + 1] = part
    listed[#listed + 1] = refused[index] or ''
  end
  return listed
end
