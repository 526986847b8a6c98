-- Request tokens and byte tokens, and what is learnt of both rates.
--
--   next_at, bytes_at       when the next request and the next byte may go
--   per_s, slowed_at        requests/s as last slowed by a refusal, and when: they creep back to the setting
--   second, begun, before   scores begun in this second and in the one before
--   bytes_per_s             at most the setting; less when bodies came as if through a narrower pipe
--   pace                    seconds a byte of the answers' bodies, a running mean
--   window, moved           since when, and how many bytes went up and down
--   per_prompt              bytes of an answer for each prompt, a running mean
local BURST_MS = 250
local MEAN = 0.1
local WINDOW_MS = 10000
local BIG_BODY = 2 ^ 18

local function requests_per_s(flow)
  local crept = flow.set.per_s * (now - flow.slowed_at) / 300000
  return math.min(flow.set.per_s, flow.per_s + crept)
end
local function bytes_per_s(flow) return math.min(flow.set.bytes_per_s, flow.bytes_per_s) end
local function answer_bytes(flow, prompts) return math.floor(prompts * flow.per_prompt) end

-- How long until there are tokens for one who has so many others before it in the line, and which are wanting; nil if now.
local function wait_for_tokens(flow, bytes, others)
  local requests, weighs = flow.next_at - exact, flow.bytes_at - exact
  if requests <= 0 and weighs <= 0 then return nil end
  if requests >= weighs then return requests + others * 1000 / requests_per_s(flow), 'rate' end
  return weighs + others * bytes * 1000 / bytes_per_s(flow), 'bytes'
end

-- Nothing is saved up, but for a quarter of a second's bytes: who was told to wait comes a little late.
local function take_tokens(flow, bytes)
  flow.next_at = math.max(exact, flow.next_at) + 1000 / requests_per_s(flow)
  flow.bytes_at = math.max(exact - BURST_MS, flow.bytes_at) + bytes * 1000 / bytes_per_s(flow)
  local second = math.floor(now / 1000)
  if flow.second ~= second then
    flow.before = flow.second == second - 1 and flow.begun or 0
    flow.second, flow.begun = second, 0
  end
  flow.begun = flow.begun + 1
end

-- Refused for too many a second: below what was really sent, at most once a second.
local function slow_requests(flow)
  if now - flow.slowed_at < 1000 then return end
  local sent = math.max(flow.begun, flow.before, 1)
  flow.per_s, flow.slowed_at = math.max(math.min(1, flow.set.per_s), 0.7 * math.min(requests_per_s(flow), sent)), now
end

-- An endpoint over its bandwidth delays. Bodies four times slower than the rate would have them: the rate is what came
-- through, a little less so that what piled up drains; but no less than one body's own speed, and step by step, since what
-- is still on its way was not counted. Creeps back when bodies are quick.
local function learn_rate(flow, seconds)
  local rate = bytes_per_s(flow)
  local drag = flow.pace * rate
  if drag > 4 then
    local came = math.max(flow.moved / seconds, 1 / flow.pace)
    local lower = math.max(0.7 * rate, 0.95 * came)
    flow.bytes_per_s = math.max(flow.set.bytes_per_s / 16, math.min(rate, lower))
  elseif drag < 2 then
    flow.bytes_per_s = math.min(flow.set.bytes_per_s, 1.1 * rate)
  end
end

-- What a good score moved. A small body tells nothing of a pace.
local function learn_transfer(flow, moved)
  if moved.prompts > 0 then
    flow.per_prompt = flow.per_prompt + MEAN * (moved.bytes_down / moved.prompts - flow.per_prompt)
  end
  if moved.bytes_down >= BIG_BODY then
    flow.pace = flow.pace + MEAN * (moved.body_seconds / moved.bytes_down - flow.pace)
  end
  flow.moved = flow.moved + moved.bytes_up + moved.bytes_down
  if now - flow.window < WINDOW_MS then return end
  learn_rate(flow, (now - flow.window) / 1000)
  flow.window, flow.moved = now, 0
end

-- The answer's tokens were taken by estimate: take or give back the rest. Unknown of a score that may still be worked on.
local function correct_tokens(flow, score, bytes_down)
  flow.bytes_at = flow.bytes_at + (bytes_down - score.answer) * 1000 / bytes_per_s(flow)
end
