-- keep_scores(generation_ms, full_at, digest, location, …) → how many of the scores were entered
--
-- Enters the packed locations of the answers while there is room, and ends the marks of the frames
-- that scored them.
local length, added, kept = tonumber(ARGV[1]), 0, 0
local generation = generation_now(length)
local room, ends = room_for_scores(generation, tonumber(ARGV[2])), (generation + 2) * length
for place = 3, #ARGV, 2 do
  redis.call('DEL', scoring_key(ARGV[place]))
  if added < room then
    local field = string.sub(ARGV[place], 1, 12)
    local key = scores_key(generation, field)
    added = added + redis.call('HSET', key, field, ARGV[place + 1])
    redis.call('PEXPIREAT', key, string.format('%.0f', ends))
    kept = kept + 1
  end
end
if added > 0 then
  redis.call('INCRBY', scores_of(generation, 'entries'), added)
  redis.call('PEXPIREAT', scores_of(generation, 'entries'), string.format('%.0f', ends))
end
return kept
