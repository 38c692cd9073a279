-- KEYS: session, mark, events per item. ARGV: json, expiry, event per item. Answers 1 (stored) or 0 (taken).
local out = {}
for i = 1, #KEYS, 3 do
  local session, json, expiry = KEYS[i], ARGV[i], ARGV[i + 1]
  local made = 0
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    if redis.call('EXISTS', session) == 0 then
      redis.call('SET', session, json, 'PXAT', expiry)
      tell(KEYS[i + 2], ARGV[i + 2])
      made = 1
    elseif redis.call('PEXPIRETIME', session) == tonumber(expiry) and redis.pcall('GET', session) == json then
      -- The very same call came before and its answer was lost.
      made = 1
    end
  end
  out[#out + 1] = made
end
return out
