-- KEYS: one session's events. ARGV: the 16 digits that begin each entry that was taken. Answers how many are left.
local taken = {}
for _, digits in ipairs(ARGV) do taken[digits] = true end
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if taken[string.sub(entry, 1, 16)] then redis.call('LREM', KEYS[1], 1, entry) end
end
return redis.call('LLEN', KEYS[1])
