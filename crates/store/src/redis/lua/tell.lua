-- Prepended to every script that may tell an event. The entry begins with 16 digits of microseconds, which order
-- the events of all sessions and name each one within its list.
local function tell(list, event)
  if event == '' then return end
  local time = redis.call('TIME')
  redis.call('RPUSH', list, string.format('%s%06d ', time[1], tonumber(time[2])) .. event)
end
