-- assemble(job, token, items, last) → 1. items: "item part" each. Finish found that these items lack their whole-item files: they
-- are made first, and the last of them has the job finished. Many items come in several calls; the step is left with the last.
-- Refused (0) unless the step is ours.
local job, token, items = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if get(job, 'finish_token') ~= token or get(job, 'state') ~= 'finishing' then return 0 end
local due = {}
for _, item in ipairs(items) do
  due[#due + 1] = now
  due[#due + 1] = job .. ' ' .. item
end
if #items > 0 then
  redis.call('SADD', job_key(job, 'assembling'), unpack(items))
  redis.call('ZADD', 'mr:assembling', 'NX', unpack(due))
end
redis.call('HSETNX', job_key(job), 'assembling', now)
if ARGV[4] ~= '1' then return 1 end
step_ends('finish', job)
redis.call('HDEL', job_key(job), 'finish_token', 'finish_tries')
touch(job)
return 1
