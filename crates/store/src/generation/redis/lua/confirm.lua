-- KEYS[1]: a place. ARGV: expiry in unix ms, and the value that has to be there where only one will do. Answers 1 when
-- it is there. A write of its own, so that waiting for replicas afterwards means this and everything before it; and
-- where the server is another one since, a failover took the write back or did not.
local value = redis.call('GET', KEYS[1])
if not value or (ARGV[2] and value ~= ARGV[2]) then return 0 end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
