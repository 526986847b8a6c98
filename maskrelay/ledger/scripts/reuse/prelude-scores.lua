-- The index of stored scores. A digest has 32 bytes, and is written in hexadecimal digits in keys.
--
--   mr:scores:{generation}:{shard}  hash: the first 12 bytes of a score's digest → the location of its answer, packed
--                                   (ledger/score_index.py). A generation ends when the next one has ended
--   mr:scores:{generation}:entries  string: the number of entries of the generation
--   mr:scoring:{digest}             string: the token of the frame that scores it now

-- The share of the memory limit of Redis that the index may take, the bytes that an entry takes, and
-- the most entries without a memory limit.
local INDEX_SHARE, ENTRY_BYTES, ENTRIES_MOST = 0.25, 128, 8000000

local function generation_now(length_ms) return math.floor(now / length_ms) end

local function scores_of(generation, part) return 'mr:scores:' .. string.format('%d', generation) .. ':' .. part end

local function scores_key(generation, field)
  local shard = string.byte(field, 1) * 64 + math.floor(string.byte(field, 2) / 4)
  return scores_of(generation, string.format('%d', shard))
end

local function scoring_key(digest)
  return 'mr:scoring:' .. string.gsub(digest, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
end

-- Return how many entries may be added. There are entries of this generation and of the one before.
-- A server that has used the share full_at of its memory needs the rest for accepted work.
local function room_for_scores(generation, full_at)
  local most = tonumber(info_field('memory', 'maxmemory') or '0')
  if most > 0 and tonumber(info_field('memory', 'used_memory')) >= full_at * most then return 0 end
  local entries = 0
  for each = generation - 1, generation do
    entries = entries + tonumber(redis.call('GET', scores_of(each, 'entries')) or '0')
  end
  return (most > 0 and math.floor(INDEX_SHARE * most / ENTRY_BYTES) or ENTRIES_MOST) - entries
end
