-- sender_heard(child) → 1
--
-- Records that the child, which may send scores, is alive.
redis.call('ZADD', 'mr:senders', now, ARGV[1])
return 1
