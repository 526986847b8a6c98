-- give_back(tenant, job) → 1
--
-- Ends the reservation of quota for the job. If the job was accepted meanwhile, it counts as its
-- record says.
redis.call('ZREM', 'mr:holds:' .. ARGV[1], ARGV[2])
recount_usage(ARGV[1], ARGV[2])
return 1
