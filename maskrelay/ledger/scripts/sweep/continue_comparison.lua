-- continue_comparison(token) → 1 if the comparison still counts, because Redis was not lost and no other comparison ended
--   meanwhile
local member = run_id() .. ' ' .. ARGV[1]
if not redis.call('ZSCORE', 'mr:reconciling', member) then return 0 end
redis.call('ZADD', 'mr:reconciling', now, member)
return 1
