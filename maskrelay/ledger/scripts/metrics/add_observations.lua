-- add_observations(counts, stages) → 1
--
-- Adds what a process counted since its last report. Each argument is a JSON object of field →
-- increment.
for key, more in pairs({['mr:counts'] = cjson.decode(ARGV[1]), ['mr:stages'] = cjson.decode(ARGV[2])}) do
  for field, by in pairs(more) do redis.call('HINCRBY', key, field, string.format('%.0f', by)) end
end
return 1
