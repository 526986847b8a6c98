-- listing(done) → 1 while the tenants' lists of jobs are to be written again from storage: Redis is another one than when that
-- was last done (restarted, failed over, flushed, restored). done: the walk has come to its end.
local done, id = ARGV[1] == '1', run_id()
local known = redis.call('HMGET', 'mr:sweep', 'listed_run', 'listing_run')
if known[1] == id then return 0 end
if known[2] ~= id then
  redis.call('HSET', 'mr:sweep', 'listing_run', id, 'at_listing', '')
elseif done then
  redis.call('HSET', 'mr:sweep', 'listed_run', id)
  return 0
end
return 1
