-- KEYS: session, mark. ARGV: the moment it retires, how long that is remembered.
-- Answers 1 (it answers until then), or 0 (it was ended meanwhile).
local session, mark = KEYS[1], KEYS[2]
local at, known = tonumber(ARGV[1]), redis.call('GET', mark)
if known and string.sub(known, 1, 1) == 'e' then return 0 end
local expiry = redis.call('PEXPIRETIME', session)
local forget = math.max(at, expiry) + tonumber(ARGV[2])
if expiry >= 0 then at = math.min(at, expiry) end
-- The earliest of several retirements counts.
if known and string.sub(known, 1, 1) == 'r' then at = math.min(at, tonumber(string.sub(known, 2))) end
redis.call('SET', mark, string.format('r%.0f', at), 'PXAT', string.format('%.0f', forget))
if expiry ~= -2 then redis.call('PEXPIREAT', session, string.format('%.0f', at)) end
return 1
