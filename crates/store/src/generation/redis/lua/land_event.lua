-- A message that moves here. KEYS[1]: its place. ARGV: json, expiry in unix ms. Answers 1 (new), 2 (a later state took an
-- earlier one's place) or 0 (what is here is as late), and how many replicas follow.
local value = redis.call('GET', KEYS[1])
local code = 1
if value then
  local there, given = cjson.decode(value), cjson.decode(ARGV[1])
  if there['applied'] then return { 0, 0 } end
  if not given['applied'] and given['attempts'] <= there['attempts'] then return { 0, 0 } end
  code = 2
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return { code, replicas() }
