-- KEYS: the sessions with untaken events. ARGV: id and score as seen, in pairs. Forgets those that did not change.
for a = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[a])
  if score and tonumber(score) == tonumber(ARGV[a + 1]) then redis.call('ZREM', KEYS[1], ARGV[a]) end
end
return 1
