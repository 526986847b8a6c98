-- list_parts(job, start, stop) → how many parts are listed, then the parts from start to stop in order, each followed by
--   its comma-separated refused frames
--
-- A call asks for at most 1000 parts.
local job = ARGV[1]
local listed = {redis.call('LLEN', job_key(job, 'parts'))}
local parts = redis.call('LRANGE', job_key(job, 'parts'), ARGV[2], ARGV[3])
if #parts == 0 then return listed end
local refused = redis.call('HMGET', job_key(job, 'refused'), unpack(parts))
for index, part in ipairs(parts) do
  listed[#listed + 1] = part
  listed[#listed + 1] = refused[index] or ''
end
return listed
