-- parts(job, start, stop) → how many parts are listed, then those from start to stop in order, each followed by its refused frames
-- by commas. At most 1000 are asked for at once.
local job = ARGV[1]
local listed = {redis.call('LLEN', job_key(job, 'parts'))}
local parts = redis.call('LRANGE', job_key(job, 'parts'), ARGV[2], ARGV[3])
if #parts == 0 then return listed end
local refused = redis.call('HMGET', job_key(job, 'refused'), unpack(parts))
for place, part in ipairs(parts) do
  listed[#listed + 1] = part
  listed[#listed + 1] = refused[place] or ''
end
return listed
