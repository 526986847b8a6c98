-- release_slot(endpoint, slot, bytes_down) → the record of the score, or '' if the slot had lapsed
--
-- The whole answer to a score was received, `bytes_down` bytes of it: its slot is free for the next
-- waiter before anybody has read the answer. What the answer says of the endpoint follows with
-- report_score.lua, to which the caller passes the record on.
local flow, slot = load_flow(cjson.decode(ARGV[1])), ARGV[2]
local record = end_score(flow, slot, false)
if record then correct_tokens(flow, score_of(record), tonumber(ARGV[3])) end
grant_next(flow)
save_flow(flow)
return record or ''
