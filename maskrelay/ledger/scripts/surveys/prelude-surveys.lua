-- The surveys of the chunks of runs, which any worker may take while the run is planned.
--
--   mr:surveying         zset "job chunk" → when its survey may be taken, or the deadline of its lease
--   mr:surveying:tokens  hash "job chunk" → the token of the worker that holds the survey
--   mr:surveying:tries   hash "job chunk" → how often the survey was taken without an end

local function survey_member(job, chunk) return job .. ' ' .. string.format('%d', chunk) end

local function drop_survey(member)
  redis.call('ZREM', 'mr:surveying', member)
  redis.call('HDEL', 'mr:surveying:tokens', member)
  redis.call('HDEL', 'mr:surveying:tries', member)
end

local function is_planned_now(job)
  local state = get(job, 'state')
  return (state == 'accepted' or state == 'running') and get(job, 'planned') ~= '1'
end
