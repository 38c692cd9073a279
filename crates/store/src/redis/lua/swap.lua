-- KEYS: session, mark per item. ARGV[1]: now; then expected version, json, expiry per item.
-- Answers 1 (stored) or 0 (another value, ended, retired or expired).
local out, now, a = {}, tonumber(ARGV[1]), 2
for i = 1, #KEYS, 2 do
  local session = KEYS[i]
  local value = redis.pcall('GET', session)
  local done = 0
  if type(value) == 'string' and string.sub(redis.sha1hex(value), 1, 16) == ARGV[a]
    and redis.call('EXISTS', KEYS[i + 1]) == 0 then
    local expiry = redis.call('PEXPIRETIME', session)
    if expiry == -1 or expiry > now then
      redis.call('SET', session, ARGV[a + 1], 'PXAT', ARGV[a + 2])
      done = 1
    end
  end
  out[#out + 1] = done
  a = a + 3
end
return out
