-- job_record(job) → the record of the job with its counted frames, as JSON, or nil
local record = job_record(ARGV[1])
return record and cjson.encode(record)
