-- withdraw(waiter, slot, endpoints) → the endpoint at which the slot was granted, or ''
--
-- The waiter leaves every queue. If its slot has been granted, the caller reports the end of a
-- score that never began.
for _, name in ipairs(cjson.decode(ARGV[3])) do
  local flow = {set = {name = name}}
  leave_line(flow, ARGV[1])
  if redis.call('ZSCORE', flow_key(flow, 'slots'), ARGV[2]) then return name end
end
return ''
