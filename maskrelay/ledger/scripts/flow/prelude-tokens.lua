-- The token buckets for requests and bytes, and how both rates are learnt.
--
--   next_at, bytes_at       when the next request and the next byte may be sent
--   per_s, slowed_at        requests per second as last reduced by a refusal, and when. The rate grows back to the
--                          setting
--   second, begun, before   scores begun in this second and in the one before
--   bytes_per_s             at most the setting; less after bodies arrived as if through a narrower connection
--   pace                    seconds per byte of the answers' bodies, a running mean
--   window, moved           when the current measurement began, and the bytes sent and received since
--   per_prompt              bytes of an answer per prompt, a running mean
--   per_prompt_lean         the same of lean answers
local BURST_MS = 100
local BYTES_SHARE = 0.995
local MEAN = 0.1
local WINDOW_MS = 10000
local BIG_BODY = 2 ^ 18

local function requests_per_s(flow)
  local recovered = flow.set.per_s * (now - flow.slowed_at) / 300000
  return math.min(flow.set.per_s, flow.per_s + recovered)
end
local function bytes_per_s(flow) return math.min(flow.set.bytes_per_s, flow.bytes_per_s) end
local function answer_bytes(flow, request)
  return math.floor(request.prompts * (request.lean and flow.per_prompt_lean or flow.per_prompt))
end

-- Tokens flow in a little more slowly than the limit, so that a burst does not take ten seconds above
-- it, and so that answers that come close together do not queue in the gateway for ever.
local function ms_of(flow, bytes) return bytes * 1000 / (BYTES_SHARE * bytes_per_s(flow)) end

-- Return how long until there are tokens for a waiter with this many others before it, and which
-- tokens are missing; nil if there are enough now.
local function wait_for_tokens(flow, bytes, others)
  local requests_wait, bytes_wait = flow.next_at - exact, flow.bytes_at - exact
  if requests_wait <= 0 and bytes_wait <= 0 then return nil end
  if requests_wait >= bytes_wait then return requests_wait + others * 1000 / requests_per_s(flow), 'rate' end
  return bytes_wait + others * ms_of(flow, bytes), 'bytes'
end

-- Unused tokens are not saved up, except for a tenth of a second's bytes, since a waiter returns a
-- little late.
local function take_tokens(flow, bytes)
  flow.next_at = math.max(exact, flow.next_at) + 1000 / requests_per_s(flow)
  flow.bytes_at = math.max(exact - BURST_MS, flow.bytes_at) + ms_of(flow, bytes)
  local second = math.floor(now / 1000)
  if flow.second ~= second then
    flow.before = flow.second == second - 1 and flow.begun or 0
    flow.second, flow.begun = second, 0
  end
  flow.begun = flow.begun + 1
end

-- The score was refused because of too many requests in a second: reduce the rate to below what was
-- really sent, at most once a second.
local function slow_requests(flow)
  if now - flow.slowed_at < 1000 then return end
  local sent = math.max(flow.begun, flow.before, 1)
  flow.per_s, flow.slowed_at = math.max(math.min(1, flow.set.per_s), 0.7 * math.min(requests_per_s(flow), sent)), now
end

-- An endpoint above its bandwidth delays answers. When bodies take over four times as long as the
-- rate predicts, the new rate is what was really transferred, less a margin in which the backlog
-- drains, but not less than the speed of a single body. The rate falls in steps, since bytes that
-- are still on the way were not counted, and grows back when bodies are quick.
local function learn_rate(flow, seconds)
  local rate = bytes_per_s(flow)
  local drag = flow.pace * rate
  if drag > 4 then
    local transferred = math.max(flow.moved / seconds, 1 / flow.pace)
    local lower = math.max(0.7 * rate, 0.95 * transferred)
    flow.bytes_per_s = math.max(flow.set.bytes_per_s / 16, math.min(rate, lower))
  elseif drag < 2 then
    flow.bytes_per_s = math.min(flow.set.bytes_per_s, 1.1 * rate)
  end
end

-- Learn from the transfer of a good score. A small body says nothing about the pace.
local function learn_transfer(flow, moved)
  if moved.prompts > 0 then
    local mean = moved.lean and 'per_prompt_lean' or 'per_prompt'
    flow[mean] = flow[mean] + MEAN * (moved.bytes_down / moved.prompts - flow[mean])
  end
  if moved.bytes_down >= BIG_BODY then
    flow.pace = flow.pace + MEAN * (moved.body_seconds / moved.bytes_down - flow.pace)
  end
  flow.moved = flow.moved + moved.bytes_up + moved.bytes_down
  if now - flow.window < WINDOW_MS then return end
  learn_rate(flow, (now - flow.window) / 1000)
  flow.window, flow.moved = now, 0
end

-- The tokens for the answer were taken by an estimate: take or give back the difference. The size
-- of an answer is unknown while the score may still be in progress.
local function correct_tokens(flow, score, bytes_down)
  flow.bytes_at = flow.bytes_at + ms_of(flow, bytes_down - score.answer)
end
