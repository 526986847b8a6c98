-- parts(job, start, stop) → the listed parts in order, each followed by its refused frames by commas.
local job = ARGV[1]
local listed = {}
for _, part in ipairs(redis.call('LRANGE', job_key(job, 'parts'), ARGV[2], ARGV[3])) do
  listed[#listed + 1] = part
  listed[#listed + 1] = redis.call('HGET', job_key(job, 'refused'), part) or ''
end
return listed
