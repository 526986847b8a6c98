-- senders_silent(children, silence_ms) → the children that were not heard of for silence_ms
--
-- A child that is unknown, or was heard of in the future, counts as heard of now.
local silent = {}
for _, child in ipairs(cjson.decode(ARGV[1])) do
  local heard = tonumber(redis.call('ZSCORE', 'mr:senders', child) or now + 1)
  if heard > now then redis.call('ZADD', 'mr:senders', now, child) end
  if heard + ARGV[2] < now then silent[#silent + 1] = child end
end
return silent
