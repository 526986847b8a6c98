-- report_slots(endpoint, child, since, held, asking, slot_lease_ms) → until when nothing is granted here, or 0
--
-- The child reports its slots. held: a list of {slot, milliseconds left of its lease}; asking: the
-- slots that it may have been granted. A slot of the child that is in neither list was lost on the
-- way, if it was granted before `since` (the clock of Redis before the child took stock). After a
-- loss of Redis nothing is granted until every child has reported (end_freeze.lua), or until a slot lease
-- has passed.
local flow = load_flow(cjson.decode(ARGV[1]))
local child, since, slot_lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[6])
local held, kept = cjson.decode(ARGV[4]), {}
local slots, scores = flow_key(flow, 'slots'), flow_key(flow, 'scores')
freeze_if_new(flow, slot_lease)
for _, slot in ipairs(cjson.decode(ARGV[5])) do kept[slot] = true end
for _, slot in ipairs(held) do kept[slot[1]] = true end
for _, slot in ipairs(redis.call('ZRANGE', slots, 0, -1)) do
  local begun = string.match(redis.call('HGET', scores, slot) or '', '^%S+')
  if string.sub(slot, 1, #child) == child and not kept[slot] and tonumber(begun or '0') < since then
    redis.call('ZREM', slots, slot)
    redis.call('HDEL', scores, slot)
  end
end
for _, slot in ipairs(held) do redis.call('ZADD', slots, 'NX', now + slot[2], slot[1]) end
local frozen = now < flow.frozen and flow.frozen or 0
if frozen > 0 then
  redis.call('HSET', flow_key(flow, 'reported'), child, string.format('%.0f', frozen))
  redis.call('PEXPIRE', flow_key(flow, 'reported'), slot_lease)
end
if frozen == 0 then grant_next(flow) end
save_flow(flow)
return string.format('%.0f', frozen)
