-- observed(counts, stages) → 1. Adds what a process saw since it last told; each a JSON object of field → how many more.
for key, more in pairs({['mr:counts'] = cjson.decode(ARGV[1]), ['mr:stages'] = cjson.decode(ARGV[2])}) do
  for field, by in pairs(more) do redis.call('HINCRBY', key, field, string.format('%.0f', by)) end
end
return 1
