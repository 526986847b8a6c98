-- listed(tenant, before, created, most) → jobs of the tenant, newest first, each followed by its moment of creation
--
-- before: the list begins after this job, '' for the newest. created: when this job was created, or ''
-- if unknown. If the job was deleted meanwhile, the list begins where the job would be.
local key, before, created, most = 'mr:tenant:' .. ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local start = 0
if before ~= '' then
  local rank = redis.call('ZREVRANK', key, before)
  if not rank and created == '' then return {} end
  if rank then
    start = rank + 1
  else
    start = redis.call('ZCOUNT', key, '(' .. created, '+inf')
    for _, job in ipairs(redis.call('ZREVRANGEBYSCORE', key, created, created)) do
      if job > before then start = start + 1 end
    end
  end
end
return redis.call('ZREVRANGE', key, start, start + most - 1, 'WITHSCORES')
