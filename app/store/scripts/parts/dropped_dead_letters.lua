-- A dead letter is forgotten, with its places in the lists and its share of the bytes (see `kept_dead_letters`).
-- ->  what it was (item, at, also), or nil if there is none
local function drop_dead_letter(id)
  local found = redis.call('HMGET', P .. 'd:' .. id, 'lane', 'item', 'at', 'bytes', 'also')
  local where = found[1]
  redis.call('ZREM', P .. 'dead', id)
  if where and redis.call('ZREM', P .. 'letters:' .. where, id) == 1 then
    redis.call('HINCRBY', P .. 'letters', where, str(0 - (found[4] or 0)))
    if redis.call('EXISTS', P .. 'letters:' .. where) == 0 then redis.call('HDEL', P .. 'letters', where) end
  end
  if redis.call('DEL', P .. 'd:' .. id) == 0 then return nil end
  return found[2] or '', tonumber(found[3] or NOW), found[5]
end
