-- A job that moves here. KEYS[1]: its place. ARGV: revision, json, expiry in unix ms. Answers 1 (new), 2 (a later revision
-- took an earlier one's place), 0 (what is here is as late) or -1 (what is here is no job), and how many replicas follow.
local value = redis.call('GET', KEYS[1])
local code = 1
if value then
  local there = string.match(string.sub(value, -40), ',"revision":(%d+)}$')
  if not there then
    local read, decoded = pcall(cjson.decode, value)
    if not read or type(decoded) ~= 'table' then return { -1, 0 } end
    -- Under our own name there may be a pointer to Stripe's: a job there has gone on.
    if decoded['boundTo'] then return { 0, 0 } end
    there = decoded['revision'] or 0
  end
  if tonumber(there) >= tonumber(ARGV[1]) then return { 0, 0 } end
  code = 2
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
return { code, replicas() }
