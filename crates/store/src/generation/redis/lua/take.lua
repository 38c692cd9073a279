-- KEYS[1]: a kept event. ARGV: now, lease until. Takes it when it is due and not applied: answers its new value.
local value = redis.call('GET', KEYS[1])
if not value then return false end
local event = cjson.decode(value)
if event['applied'] or event['nextAt'] > tonumber(ARGV[1]) then return false end
event['nextAt'] = tonumber(ARGV[2])
event['attempts'] = event['attempts'] + 1
local taken = cjson.encode(event)
redis.call('SET', KEYS[1], taken, 'KEEPTTL')
return taken
