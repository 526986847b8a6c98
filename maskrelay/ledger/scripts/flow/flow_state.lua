-- flow_state(endpoint) → the flow state of the endpoint, as JSON
--
-- `errors` are those of the last five minutes.
local flow = load_flow(cjson.decode(ARGV[1]))
remove_gone_waiters(flow)
local errors, minute = {}, math.floor(now / 60000)
for ago = 0, 4 do
  local counts = redis.call('HGETALL', flow_key(flow, 'errors:' .. minute - ago))
  for index = 1, #counts, 2 do
    errors[counts[index]] = (errors[counts[index]] or 0) + tonumber(counts[index + 1])
  end
end
local gate, closed_until = flow.gate, flow.gate == 'open' and 0 or flow.closed_until
if flow.frozen > now and flow.frozen > closed_until then gate, closed_until = 'frozen', flow.frozen end
return cjson.encode({
  gate = gate,
  reason = flow.reason,
  closed_for_s = math.max(0, closed_until - now) / 1000,
  limit = math.floor(flow.limit),
  in_flight = in_flight(flow),
  waiting = {interactive = count_waiting(flow, 'interactive'), bulk = count_waiting(flow, 'bulk')},
  requests_per_s = requests_per_s(flow),
  bytes_per_s_learnt = bytes_per_s(flow),
  bytes_per_prompt = flow.per_prompt,
  errors = errors,
})
