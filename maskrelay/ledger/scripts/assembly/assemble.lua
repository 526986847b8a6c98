-- assemble(job, token, items, last) → 1, or 0 unless the caller holds the step
--
-- items: "item part" each. Finishing found that the whole-item files of these items are missing.
-- They are made first, and the last of them makes the job finish. Many items are passed in several
-- calls; the call with `last` ends the step.
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
end_step('finish', job)
redis.call('HDEL', job_key(job), 'finish_token', 'finish_tries')
touch(job)
return 1
