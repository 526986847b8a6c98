-- end_comparison(token) → 1 if the comparison counts, because Redis was not lost since it began
local id = run_id()
local member = id .. ' ' .. ARGV[1]
local began = redis.call('HGET', 'mr:reconciling:began', member) or redis.call('ZSCORE', 'mr:reconciling', member)
if not began then return 0 end
redis.call('HSET', 'mr:sweep', 'reconciled_run', id, 'reconciled', began)
redis.call('DEL', 'mr:reconciling', 'mr:reconciling:began')
return 1
