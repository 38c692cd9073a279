-- How many replicas follow this server now. A write is worth asking them about only where there are some.
local function replicas()
  return tonumber(string.match(redis.call('INFO', 'replication'), 'connected_slaves:(%d+)')) or 0
end
