-- thaw(endpoint, frozen, children) → 1 if scores may begin again: each of the children, which are all that may have sent any, has
-- said what it has in flight since the loss of Redis for which nothing is granted until `frozen`. The buckets of tokens are empty.
local flow, frozen = load_flow(cjson.decode(ARGV[1])), tonumber(ARGV[2])
if flow.run_id ~= run_id() or flow.frozen ~= frozen then return 0 end
for _, child in ipairs(cjson.decode(ARGV[3])) do
  if tonumber(redis.call('HGET', flow_key(flow, 'reported'), child) or '0') ~= frozen then return 0 end
end
flow.frozen, flow.next_at, flow.bytes_at = 0, now, now
redis.call('UNLINK', flow_key(flow, 'reported'))
save_flow(flow)
call_next(flow)
return 1
