-- end_freeze(endpoint, frozen, children) → 1 if scores may begin again
--
-- After a loss of Redis nothing is granted until `frozen`. The freeze ends early when each of the
-- children, which are all that may have sent scores, has reported what it has in flight. The token
-- buckets start empty.
local flow, frozen = load_flow(cjson.decode(ARGV[1])), tonumber(ARGV[2])
if flow.run_id ~= run_id() or flow.frozen ~= frozen then return 0 end
for _, child in ipairs(cjson.decode(ARGV[3])) do
  if tonumber(redis.call('HGET', flow_key(flow, 'reported'), child) or '0') ~= frozen then return 0 end
end
flow.frozen, flow.next_at, flow.bytes_at = 0, now, now
redis.call('UNLINK', flow_key(flow, 'reported'))
grant_next(flow)
save_flow(flow)
return 1
