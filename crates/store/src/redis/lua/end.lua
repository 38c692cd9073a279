-- KEYS: session, mark, events per item. ARGV[1]: now; [2]: how long an end is remembered beyond the expiry; then
-- the event of a live session and that of an expired one. Answers 1 (it was live) or 0 (it was over already).
local out, now, a = {}, tonumber(ARGV[1]), 3
for i = 1, #KEYS, 3 do
  local session, mark = KEYS[i], KEYS[i + 1]
  local expiry, known = redis.call('PEXPIRETIME', session), redis.call('GET', mark)
  local forget = math.max(expiry, now, redis.call('PEXPIRETIME', mark) - tonumber(ARGV[2])) + tonumber(ARGV[2])
  redis.call('SET', mark, 'e', 'PXAT', string.format('%.0f', forget))
  local ended = 0
  if expiry ~= -2 then
    redis.call('DEL', session)
    -- A retired id goes on under its new one, and what an ended one holds is a late write: nothing to tell.
    if not known then
      if expiry == -1 or expiry > now then
        tell(KEYS[i + 2], ARGV[a])
        ended = 1
      else
        tell(KEYS[i + 2], ARGV[a + 1])
      end
    end
  end
  out[#out + 1] = ended
  a = a + 2
end
return out
