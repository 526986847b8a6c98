-- relisting_needed(done) → 1 while the lists of jobs of the tenants must be rebuilt from storage
--
-- They must be after Redis was restarted, failed over, flushed or restored since the last complete
-- walk. done: the walk has reached its end.
local done, id = ARGV[1] == '1', run_id()
local runs = redis.call('HMGET', 'mr:sweep', 'listed_run', 'listing_run')
if runs[1] == id then return 0 end
if runs[2] ~= id then
  redis.call('HSET', 'mr:sweep', 'listing_run', id, 'at_listing', '')
elseif done then
  redis.call('HSET', 'mr:sweep', 'listed_run', id)
  return 0
end
return 1
