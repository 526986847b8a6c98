-- job_record(job) → the record of the job with its counted frames, as JSON, or nil
local job = ARGV[1]
local fields = redis.call('HGETALL', job_key(job))
if #fields == 0 then return nil end
local record = {}
for index = 1, #fields, 2 do record[fields[index]] = fields[index + 1] end
if not record.frames_failed then
  record.frames_failed = bit_count(job, 'failed')
  record.frames_succeeded = bit_count(job, 'settled') - record.frames_failed
end
return cjson.encode(record)
