-- assemble_take(token, lease_ms) → {job, "item part", tries}, held by the caller until the lease lapses; nil if
--   nothing is due; {} if only items of jobs that no longer wait for them were found, and the script should be called
--   again
local token, lease_ms = ARGV[1], tonumber(ARGV[2])
for _ = 1, 8 do
  local member = first_due('mr:assembling', 2 * lease_ms + 60000)
  if not member then return nil end
  local job, item = string.match(member, '^(%S+) (%d+ %d+)$')
  if get(job, 'state') == 'finishing' then
    redis.call('ZADD', 'mr:assembling', now + lease_ms, member)
    redis.call('HSET', 'mr:assembling:tokens', member, token)
    return {job, item, redis.call('HINCRBY', 'mr:assembling:tries', member, 1)}
  end
  end_assembly(job, item)
end
return {}
