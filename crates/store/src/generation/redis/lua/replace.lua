-- KEYS[1]: a place. ARGV: value, expiry in unix ms. Answers 1, and how many replicas follow.
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return { 1, replicas() }
