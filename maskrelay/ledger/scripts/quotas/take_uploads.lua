-- take_uploads(tenant, ids) → id, bytes, ms until it would have been forgotten, of each that was counted as unused. None of them
-- is from now on.
local tenant, taken = ARGV[1], {}
for _, upload in ipairs(cjson.decode(ARGV[2])) do
  local until_ms = redis.call('ZSCORE', 'mr:uploads:' .. tenant, upload)
  if until_ms then
    local bytes = counted(tenant, upload)[4]
    drop_upload(tenant, upload)
    for _, value in ipairs({upload, bytes, math.max(0, until_ms - now)}) do taken[#taken + 1] = value end
  end
end
return taken
