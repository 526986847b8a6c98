-- find_score(digest, generation_ms, token, lease_ms) → the packed location of the score's answer; otherwise 1 if the
--   caller now scores it, or 0 if another frame does
local field = string.sub(ARGV[1], 1, 12)
local newest = generation_now(tonumber(ARGV[2]))
for generation = newest, newest - 1, -1 do
  local found = redis.call('HGET', scores_key(generation, field), field)
  if found then return found end
end
local key = scoring_key(ARGV[1])
if redis.call('SET', key, ARGV[3], 'NX', 'PX', ARGV[4]) then return 1 end
return redis.call('GET', key) == ARGV[3] and 1 or 0
