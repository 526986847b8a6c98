-- ARGV: generation, life in seconds, then a digest (32 bytes) and a packed location for each score. Enters the
-- locations, and ends the marks of the frames that scored them.
for place = 3, #ARGV, 2 do
  local field = string.sub(ARGV[place], 1, 12)
  local key = scores_key(tonumber(ARGV[1]), field)
  redis.call('HSET', key, field, ARGV[place + 1])
  redis.call('EXPIRE', key, ARGV[2])
  local mark = scoring_key(ARGV[place])
  redis.call('DEL', mark)
end
