-- part_numbers(job, ranges) → for each range {first, n} how many of its frames have an outcome, and their part numbers,
--   4 bytes for each frame; fewer than n numbers if the last frames have none
local job, found = ARGV[1], {}
for _, range in ipairs(cjson.decode(ARGV[2])) do
  local first, n = unpack(range)
  found[#found + 1] = redis.call('BITCOUNT', job_key(job, 'settled'), first, first + n - 1, 'BIT')
  found[#found + 1] = redis.call('GETRANGE', 'mr:part_numbers:' .. job, 4 * first, 4 * (first + n) - 1)
end
return found
