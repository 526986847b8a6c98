-- take_survey(token, lease_ms, most, job, first, last) → {job, chunk}, held by the caller until the lease lapses; nil if no
--   survey can be taken; {} if only surveys of jobs that are not planned any more were found, and the script should be
--   called again
--
-- job: '' for any job; otherwise only its chunks first … last are looked at. A survey that was taken `most` times without
-- an end is dropped. The plan step of the job then makes it itself, and its failures count.
local token, lease_ms, most, job, first, last = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function first_of_job()
  for chunk = first, last do
    local at = redis.call('ZSCORE', 'mr:surveying', survey_member(job, chunk))
    if at and tonumber(at) <= now then return survey_member(job, chunk) end
  end
end

for _ = 1, 8 do
  local member
  if job == '' then member = first_due('mr:surveying', 2 * lease_ms + 60000) else member = first_of_job() end
  if not member then return nil end
  local of, chunk = string.match(member, '^(%S+) (%d+)$')
  if is_planned_now(of) and redis.call('HINCRBY', 'mr:surveying:tries', member, 1) <= most then
    redis.call('ZADD', 'mr:surveying', now + lease_ms, member)
    redis.call('HSET', 'mr:surveying:tokens', member, token)
    return {of, chunk}
  end
  drop_survey(member)
end
return {}
