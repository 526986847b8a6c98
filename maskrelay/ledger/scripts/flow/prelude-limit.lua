-- The rule of the concurrency limit, without access to Redis: how the end of a score changes the
-- limit (docs/decisions/0006-the-limit-in-flight.md).
--
--   limit     how many scores may be in flight, at most `most`, the operator's cap. A fraction counts once it is whole
--   ceiling   how many the endpoint is believed to sustain; at first `most`. The limit grows up to the ceiling and
--             rests there
--   probe_at  when the limit may next be set above the ceiling, to test whether the endpoint sustains more; gap: the
--             wait before that
--   step      how far above the ceiling the current test goes; proofs: the good scores in the outermost place that
--             support it
--   cut_at    when the limit was last cut. A score begun before that cuts nothing, so there is one cut in a round trip
--   refused   how many scores were ever refused because too many were pending
--
-- A score records when it was begun, its place (how many were in flight then, including itself) and
-- the number of refusals known then.
local GROWTH = 0.5
local PROOFS = 8
local FIRST_GAP, LONGEST_GAP = 5000, 30000

-- A good score ended while others waited for a slot. The limit grows quickly up to the ceiling (by
-- half in a round trip), and then tests above it from time to time. While the tests succeed, their
-- steps double, so that a changed capacity is found in a few round trips.
local function limit_grows(flow, score, most)
  if flow.limit < flow.ceiling then
    flow.limit = math.min(flow.ceiling, flow.limit + GROWTH)
  elseif flow.limit == flow.ceiling then
    if now < flow.probe_at or flow.ceiling >= most then return end
    flow.step, flow.proofs, flow.limit = 1, 0, math.min(most, flow.ceiling + 1)
  elseif score.place >= flow.limit then
    flow.proofs = flow.proofs + 1
    if flow.proofs < PROOFS then return end
    flow.ceiling, flow.step, flow.proofs = flow.limit, flow.step * 2, 0
    flow.limit = math.min(most, flow.ceiling + flow.step)
  end
end

local function cut(flow, ceiling, limit, gap)
  flow.ceiling, flow.limit, flow.step, flow.proofs = math.max(1, ceiling), math.max(1, limit), 1, 0
  flow.cut_at, flow.gap, flow.probe_at = exact, gap, now + gap
end

-- The score was refused because too many were pending: the endpoint sustains as many as were in
-- flight before this score and were not refused themselves. Tests that end at the same ceiling
-- again become rare. Scores overtake each other on the way, so a failed test does not lower the
-- ceiling, and a single refusal cuts at most half.
local function limit_refused(flow, score)
  local refused_since = flow.refused - score.refused
  flow.refused = flow.refused + 1
  if score.begun < flow.cut_at then return end
  local looked, gap = flow.limit > flow.ceiling, FIRST_GAP
  local borne = math.max(score.place - 1 - refused_since, looked and flow.ceiling or math.floor(flow.limit / 2))
  if borne == flow.ceiling then gap = math.max(gap, looked and math.min(LONGEST_GAP, flow.gap * 2) or flow.gap) end
  cut(flow, borne, borne, gap)
end

-- The endpoint is overloaded in another way (503, 408), which does not say how many scores it
-- sustains: cut the limit to well below the present one, and the ceiling to just below it.
local function limit_overloaded(flow, score)
  if score.begun < flow.cut_at then return end
  local limit = flow.limit
  cut(flow, math.floor(limit * 0.9), math.floor(limit * 0.7), FIRST_GAP)
end
