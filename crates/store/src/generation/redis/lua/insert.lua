-- KEYS[1]: a place. ARGV: value, expiry in unix ms. Answers whether it was stored (1) or something was there (0), and
-- how many replicas follow.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2]) then return { 1, replicas() } end
return { 0, replicas() }
