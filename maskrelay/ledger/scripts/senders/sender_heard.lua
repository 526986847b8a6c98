-- sender_heard(child) → 1. The child, which may send scores, lives.
redis.call('ZADD', 'mr:senders', now, ARGV[1])
return 1
