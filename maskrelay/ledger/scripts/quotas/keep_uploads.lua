-- keep_uploads(tenant, uploads, request) → 1. Count uploads that no job has used: {{id, bytes, ms until each is forgotten}, …}. What
-- was kept for `request` becomes less by their bytes.
local tenant, request, bytes = ARGV[1], ARGV[3], 0
for _, upload in ipairs(cjson.decode(ARGV[2])) do
  redis.call('ZADD', 'mr:uploads:' .. tenant, string.format('%.0f', now + upload[3]), upload[1])
  count_load(tenant, upload[1], {0, 0, 0, upload[2]})
  bytes = bytes + upload[2]
end
if request ~= '' and redis.call('ZSCORE', 'mr:holds:' .. tenant, request) then
  count_load(tenant, request, {0, 0, 0, math.max(0, counted(tenant, request)[4] - bytes)})
end
return 1
