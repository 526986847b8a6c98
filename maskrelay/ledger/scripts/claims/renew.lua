-- renew(lease_ms, tokens) → the tokens that are lost
local lost = {}
for _, token in ipairs(cjson.decode(ARGV[2])) do
  if redis.call('ZADD', 'mr:leases', 'XX', 'CH', now + ARGV[1], token) == 0
    and not redis.call('ZSCORE', 'mr:leases', token) then
    lost[#lost + 1] = token
  end
end
return lost
