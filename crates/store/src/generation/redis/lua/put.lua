-- KEYS[1]: a kept event. ARGV[1]: the same with changes, stored only while the key is there and not applied.
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if cjson.decode(value)['applied'] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
return 1
