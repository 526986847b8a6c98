-- record_spans(job, token, part, spans) → 1, or 0 unless the caller holds the step and the part is the next
--
-- spans: {{first, n}, …}, in order: items of several frames whose first frames are in the part that
-- is added next (extend.lua). The call can be repeated. Frames may already have outcomes, since the
-- job was adopted after a loss of Redis; these are counted when the item is added, and only then.
local job, token, part, spans = ARGV[1], ARGV[2], tonumber(ARGV[3]), cjson.decode(ARGV[4])
if get(job, 'plan_token') ~= token or part ~= num(job, 'parts') then return 0 end
local state = get(job, 'state')
if state ~= 'accepted' and state ~= 'running' then return 0 end
local function count_bits(kind, from, frames) return redis.call('BITCOUNT', job_key(job, kind), from, from + frames - 1, 'BIT') end
local first, last = spans[1][1], spans[#spans]
local adopted = count_bits('settled', first, last[1] + last[2] - first) > 0
local added = {}
for _, span in ipairs(spans) do
  local name = span[1] .. ':' .. span[2]
  if not adopted then
    added[#added + 1], added[#added + 2] = span[1], name
  elseif redis.call('ZADD', job_key(job, 'spans'), span[1], name) == 1 then
    local outcomes = count_bits('settled', span[1], span[2])
    if outcomes > 0 then count_span(job, name, outcomes, count_bits('failed', span[1], span[2])) end
  end
end
if not adopted then redis.call('ZADD', job_key(job, 'spans'), unpack(added)) end
return 1
