-- reconciled(token) → 1 if the comparison counts: Redis was not lost since it began.
local id = run_id()
local began = redis.call('ZSCORE', 'mr:reconciling', id .. ' ' .. ARGV[1])
if not began then return 0 end
redis.call('HSET', 'mr:sweep', 'reconciled_run', id, 'reconciled', began)
redis.call('DEL', 'mr:reconciling')
return 1
