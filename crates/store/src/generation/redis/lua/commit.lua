-- KEYS[1]: session. ARGV: revision that the change was decided on, json, expiry in unix ms.
-- Answers 1 (stored), 0 (another revision) or -1 (there is none), and how many replicas follow.
-- The revision is the value's last field, so that a large value need not be decoded; another writer may have put a
-- field behind it.
local value = redis.call('GET', KEYS[1])
if not value then return { -1, 0 } end
local there = string.match(string.sub(value, -40), ',"revision":(%d+)}$')
if not there then
  local read, decoded = pcall(cjson.decode, value)
  if not read or type(decoded) ~= 'table' then return { 0, 0 } end
  there = decoded['revision'] or 0
end
if tonumber(there) ~= tonumber(ARGV[1]) then return { 0, 0 } end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
return { 1, replicas() }
