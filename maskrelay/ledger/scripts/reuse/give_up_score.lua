-- give_up_score(digest, token)
--
-- Ends the mark of this token, so that another frame may score it at once.
local key = scoring_key(ARGV[1])
if redis.call('GET', key) == ARGV[2] then redis.call('DEL', key) end
