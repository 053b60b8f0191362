-- uses: even_if_full retentions dropped_dead_letters items letters
-- Let the oldest dead letters go: those that are too old, and those of a lane that keeps too many of them or too many bytes.
-- Their messages' records are kept as long as those of other messages that are done.
-- ARGV[3]: JSON {max, max_bytes, age_ms, retention, retentions, batch (at most so many at once)}  ->  {lane, how many, ...}
local a = cjson.decode(ARGV[3])
local gone, lanes, left = {}, {}, a.batch

local function drop(id, where)
  left = left - 1
  local item, at, also = drop_dead_letter(id)
  if not item then return redis.call('ZREM', P .. 'letters:' .. where, id) end -- the dead letter itself was lost
  if not gone[where] then lanes[#lanes + 1] = where end
  gone[where] = (gone[where] or 0) + 1
  for _, message in ipairs(messages_of(item, also)) do
    local cv = redis.call('HGET', P .. 'm:' .. message, 'cv') or ''
    redis.call('PEXPIRE', P .. 'm:' .. message, str(at + retention_of(a, cv) * 1000 - now))
  end
end

-- A dead letter that no lane's list has (earlier versions wrote none) comes into it.
local function list(id)
  local key = P .. 'd:' .. id
  local where, at, item = unpack(redis.call('HMGET', key, 'lane', 'at', 'item'))
  if not where then return redis.call('ZREM', P .. 'dead', id) end
  local new = redis.call('ZADD', P .. 'letters:' .. where, at or NOW, id)
  local message = item and string.match(item, DELIVERED)
  local bytes = message and redis.call('HSTRLEN', P .. 'm:' .. message, 'body') or redis.call('HSTRLEN', key, 'webhook')
  redis.call('HSETNX', key, 'bytes', bytes)
  redis.call('HINCRBY', P .. 'letters', where, new * bytes)
end

local listed = 0
for _, where in ipairs(redis.call('HKEYS', P .. 'letters')) do
  local count = redis.call('ZCARD', P .. 'letters:' .. where)
  if count == 0 then redis.call('HDEL', P .. 'letters', where) end
  listed = listed + count
end
if listed < redis.call('ZCARD', P .. 'dead') then -- those are the oldest
  for _, id in ipairs(redis.call('ZREVRANGE', P .. 'dead', listed, listed + a.batch - 1)) do list(id) end
end

for _, where in ipairs(redis.call('HKEYS', P .. 'letters')) do
  local kept = P .. 'letters:' .. where
  local count = redis.call('ZCARD', kept)
  while left > 0 and count > 0 do
    local id, at = unpack(redis.call('ZRANGE', kept, '0', '0', 'WITHSCORES'))
    local bytes = tonumber(redis.call('HGET', P .. 'letters', where) or '0')
    if count <= a.max and bytes <= a.max_bytes and tonumber(at) > now - a.age_ms then break end
    drop(id, where)
    count = count - 1
  end
end

local said = {}
for _, where in ipairs(lanes) do
  redis.call('HINCRBY', P .. 'counts', 'forgotten:' .. where, gone[where])
  said[#said + 1] = where
  said[#said + 1] = gone[where]
end
return said
