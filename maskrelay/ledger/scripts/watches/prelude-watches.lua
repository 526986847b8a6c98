-- The watches.
--
--   mr:watch:{watch}:rests  string, exists until the watch is due again
--   mr:watch:{watch}:lease  string: the token of the process that looks at the watch now
--   mr:watch:{watch}:woken  string, exists if an event has arrived since the last look began
--   mr:watch:{watch}:seen   hash: the hash of a folder's URL → what was seen of it, packed (ledger/watch_state.py), by the
--                           last complete look
--   mr:watch:{watch}:change  string: the number of the last change that was noticed in an Orthanc
--   mr:watch:{watch}:seen_now  hash, as seen: by the looks since then

local function watch_key(watch, part) return 'mr:watch:' .. watch .. ':' .. part end
