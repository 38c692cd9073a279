-- A session that moves here. KEYS: session, mark per item. ARGV[1]: how long a retirement is remembered; then json, expiry
-- and, for an id that retires then, `r` per item. Answers 1 (new), 2 (a later state took an earlier one's place) or 0 (it has
-- ended or retires here, or what is here is as late).
local out, a = {}, 2
for i = 1, #KEYS, 2 do
  local session, mark = KEYS[i], KEYS[i + 1]
  local ends, retires = ARGV[a + 1], ARGV[a + 2] == 'r'
  local done = 0
  if redis.call('EXISTS', mark) == 0 then
    local expiry = redis.call('PEXPIRETIME', session)
    if expiry == -2 then
      done = 1
    elseif retires or (expiry ~= -1 and tonumber(ends) > expiry) then
      done = 2
    end
  end
  if done > 0 then
    redis.call('SET', session, ARGV[a], 'PXAT', ends)
    if retires then
      redis.call('SET', mark, 'r' .. ends, 'PXAT', string.format('%.0f', tonumber(ends) + tonumber(ARGV[1])))
    end
  end
  out[#out + 1] = done
  a = a + 3
end
return out
