-- KEYS: the sessions with untaken events. ARGV: ids that have some. The score never repeats for one id, so that
-- `undue` notices when an event came in between.
local time = redis.call('TIME')
local score = string.format('%s%06d', time[1], tonumber(time[2]))
for _, id in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'GT', score, id) end
return #ARGV
