-- take_uploads(tenant, ids) → id, bytes and milliseconds until it would have expired, for each upload that counted as
--   unused
--
-- From now on, none of them counts as unused.
local tenant, taken = ARGV[1], {}
for _, upload in ipairs(cjson.decode(ARGV[2])) do
  local until_ms = redis.call('ZSCORE', 'mr:uploads:' .. tenant, upload)
  if until_ms then
    local bytes = counted_usage(tenant, upload)[4]
    drop_upload(tenant, upload)
    for _, value in ipairs({upload, bytes, math.max(0, until_ms - now)}) do taken[#taken + 1] = value end
  end
end
return taken
