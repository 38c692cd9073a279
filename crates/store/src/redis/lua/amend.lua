-- Another value, if this one is stored. KEYS: session, mark per item. ARGV: before, after per item. Answers 1 or 0 for each;
-- the expiry stays what it is.
local out, a = {}, 1
for i = 1, #KEYS, 2 do
  local done = 0
  if redis.pcall('GET', KEYS[i]) == ARGV[a] then
    redis.call('SET', KEYS[i], ARGV[a + 1], 'KEEPTTL')
    done = 1
  end
  out[#out + 1] = done
  a = a + 2
end
return out
