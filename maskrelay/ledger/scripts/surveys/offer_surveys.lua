-- offer_surveys(job, first, last) → how many surveys of the chunks first … last of the job can be taken now
--
-- A chunk that is offered already is left alone, whoever holds it.
local job, first, last = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local waiting = 0
for chunk = first, last do
  local member = survey_member(job, chunk)
  redis.call('ZADD', 'mr:surveying', 'NX', now, member)
  if tonumber(redis.call('ZSCORE', 'mr:surveying', member)) <= now then waiting = waiting + 1 end
end
return waiting
