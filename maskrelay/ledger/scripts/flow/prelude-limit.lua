-- The rule of the limit in flight, pure: what a score's end makes of it (docs/decisions/0006-the-limit-in-flight.md).
--
--   limit     how many may be in flight; a fraction counts when it is whole. At most `most`, the operator's cap
--   ceiling   as many as are believed to be borne; at first `most`. Below it the limit grows, at it the limit rests
--   probe_at  when the limit may next be set above the ceiling to see whether more are borne; gap: the wait before that
--   step, proofs  how far above the ceiling is probed, and how many good scores in the outermost place speak for it
--   cut_at    when the limit was last cut: a score begun before that cuts nothing, so there is one cut a round trip
--   refused   refusals for too many pending, ever
--
-- A score knows when it was begun, its place (how many were in flight then, with it) and the refusals known then.
local GROWTH = 0.5
local PROOFS = 8
local FIRST_GAP, LONGEST_GAP = 5000, 30000

-- A good score while others wait for a slot. Quick up to the ceiling (half as many again a round trip), then a look above
-- it now and then; while that goes well its steps double, so that a changed capacity is found in a few round trips.
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

-- Refused for too many pending: as many are borne as were in flight before it and were not refused themselves. Looks above
-- the ceiling that end just there become rare. Scores overtake each other on their way, so a look that fails says nothing
-- against the ceiling, and no more than half is cut at once.
local function limit_refused(flow, score)
  local refused_since = flow.refused - score.refused
  flow.refused = flow.refused + 1
  if score.begun < flow.cut_at then return end
  local looked, gap = flow.limit > flow.ceiling, FIRST_GAP
  local borne = math.max(score.place - 1 - refused_since, looked and flow.ceiling or math.floor(flow.limit / 2))
  if borne == flow.ceiling then gap = math.max(gap, looked and math.min(LONGEST_GAP, flow.gap * 2) or flow.gap) end
  cut(flow, borne, borne, gap)
end

-- Overloaded in another way (503, 408), which says nothing of the number: well below at first, then just below.
local function limit_overloaded(flow, score)
  if score.begun < flow.cut_at then return end
  local limit = flow.limit
  cut(flow, math.floor(limit * 0.9), math.floor(limit * 0.7), FIRST_GAP)
end
