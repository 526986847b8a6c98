-- create_flow(name) → 1 if there was no flow state
--
-- Creates the flow state of an endpoint without a freeze. Only for a caller that knows that no
-- score was ever sent.
local flow = 'mr:flow:' .. ARGV[1]
if redis.call('HEXISTS', flow, 'run_id') == 1 then return 0 end
redis.call('HSET', flow, 'run_id', run_id())
return 1
