-- KEYS: session, mark, events per item. ARGV[1]: now; [2]: how long it is remembered; then the event per item.
-- Removes what has expired by now and what a late writer left under an ended id. Answers 0 (lives), 1 (removed),
-- 2 (the engine had removed it) or 3 (it is remembered as over, and there is nothing to remove).
local out, now, a = {}, tonumber(ARGV[1]), 3
for i = 1, #KEYS, 3 do
  local session, mark, event = KEYS[i], KEYS[i + 1], ARGV[a]
  local expiry, known = redis.call('PEXPIRETIME', session), redis.call('GET', mark)
  local over = expiry == -2 or (expiry ~= -1 and expiry <= now)
  local answer = 0
  if known then
    local retires = string.sub(known, 1, 1) == 'r' and tonumber(string.sub(known, 2))
    if expiry == -2 then
      answer = 3
    elseif over or not retires or retires <= now then
      redis.call('DEL', session)
      answer = 1
    end
  elseif over then
    answer = 2
    if expiry ~= -2 then
      redis.call('DEL', session)
      answer = 1
    end
    -- The mark makes the telling happen once, whoever sweeps, and keeps a late writer from reviving the session.
    if answer == 1 or event ~= '' then
      redis.call('SET', mark, 'x', 'PXAT', string.format('%.0f', now + tonumber(ARGV[2])))
      tell(KEYS[i + 2], event)
    end
  end
  out[#out + 1] = answer
  a = a + 1
end
return out
