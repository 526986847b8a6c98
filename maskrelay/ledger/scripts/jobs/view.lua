-- view(job) → the record with its counted frames, or nil.
local job = ARGV[1]
local fields = redis.call('HGETALL', job_key(job))
if #fields == 0 then return nil end
local record = {}
for place = 1, #fields, 2 do record[fields[place]] = fields[place + 1] end
if not record.frames_failed then
  record.frames_failed = bit_count(job, 'failed')
  record.frames_succeeded = bit_count(job, 'settled') - record.frames_failed
end
return cjson.encode(record)
