-- end_survey(job, chunk, token, after_ms) → 1 if the caller still held the survey
--
-- after_ms: -1 if the survey is complete; otherwise it can be taken again after this pause.
local member, after_ms = survey_member(ARGV[1], tonumber(ARGV[2])), tonumber(ARGV[4])
if redis.call('HGET', 'mr:surveying:tokens', member) ~= ARGV[3] then return 0 end
drop_survey(member)
if after_ms >= 0 then redis.call('ZADD', 'mr:surveying', now + after_ms, member) end
return 1
