-- renew_survey(job, chunk, token, lease_ms) → 1 if the caller still holds the survey, for another lease
local member = survey_member(ARGV[1], tonumber(ARGV[2]))
if redis.call('HGET', 'mr:surveying:tokens', member) ~= ARGV[3] then return 0 end
redis.call('ZADD', 'mr:surveying', 'XX', now + tonumber(ARGV[4]), member)
return 1
