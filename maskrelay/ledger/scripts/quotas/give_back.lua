-- give_back(tenant, job) → 1. No room is kept for the job any more; if it was accepted meanwhile, it counts what its record says.
redis.call('ZREM', 'mr:holds:' .. ARGV[1], ARGV[2])
recount(ARGV[1], ARGV[2])
return 1
