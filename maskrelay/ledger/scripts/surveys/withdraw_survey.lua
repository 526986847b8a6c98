-- withdraw_survey(job, chunk) → 1 if no other worker holds the survey of this chunk, which cannot be taken from then on
local member = survey_member(ARGV[1], tonumber(ARGV[2]))
local at = redis.call('ZSCORE', 'mr:surveying', member)
if at and tonumber(at) > now and not is_far(tonumber(at)) and redis.call('HEXISTS', 'mr:surveying:tokens', member) == 1 then return 0 end
drop_survey(member)
return 1
