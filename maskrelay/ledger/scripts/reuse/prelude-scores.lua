-- The index of stored scores. A digest has 32 bytes, and is written in hexadecimal digits in keys.
--
--   mr:scores:{generation}:{shard}  hash: the first 12 bytes of a score's digest → the location of its answer, packed
--                                   (ledger/score_index.py). Each generation expires
--   mr:scoring:{digest}             string: the token of the frame that scores it now

local function scores_key(generation, field)
  local shard = string.byte(field, 1) * 64 + math.floor(string.byte(field, 2) / 4)
  return 'mr:scores:' .. string.format('%d', generation) .. ':' .. string.format('%d', shard)
end

local function scoring_key(digest)
  return 'mr:scoring:' .. string.gsub(digest, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
end
