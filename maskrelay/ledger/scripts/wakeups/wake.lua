-- wake(task, wanted, wake-up, ttl_ms) → 1 if a message should be sent
return should_wake(ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])) and 1 or 0
