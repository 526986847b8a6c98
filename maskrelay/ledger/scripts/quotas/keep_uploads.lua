-- keep_uploads(tenant, uploads, request) → 1
--
-- Counts uploads that no job has used: {{id, bytes, milliseconds until it expires}, …}. The
-- reservation for `request` becomes smaller by their bytes.
local tenant, request, bytes = ARGV[1], ARGV[3], 0
for _, upload in ipairs(cjson.decode(ARGV[2])) do
  redis.call('ZADD', 'mr:uploads:' .. tenant, string.format('%.0f', now + upload[3]), upload[1])
  count_usage(tenant, upload[1], {0, 0, 0, upload[2]})
  bytes = bytes + upload[2]
end
if request ~= '' and redis.call('ZSCORE', 'mr:holds:' .. tenant, request) then
  count_usage(tenant, request, {0, 0, 0, math.max(0, counted_usage(tenant, request)[4] - bytes)})
end
return 1
