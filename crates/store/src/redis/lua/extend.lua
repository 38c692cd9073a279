-- KEYS: session, mark per item. ARGV[1]: now; then expiry per item. Answers 1 (lives that long) or 0 (gone).
local out, now, a = {}, tonumber(ARGV[1]), 2
for i = 1, #KEYS, 2 do
  local expiry = redis.call('PEXPIRETIME', KEYS[i])
  local done = 0
  -- A key without an expiry (-1) outlives every touch.
  if (expiry == -1 or expiry > now) and redis.call('EXISTS', KEYS[i + 1]) == 0 then
    if expiry ~= -1 and tonumber(ARGV[a]) > expiry then redis.call('PEXPIREAT', KEYS[i], ARGV[a]) end
    done = 1
  end
  out[#out + 1] = done
  a = a + 1
end
return out
