-- Shared by the scripts that keep or forget dead letters (see LETTERS in `app/store/connection.py`).
-- Dead letters stand in one list of all and in one for each lane (or name whose webhook it was), the oldest first; `letters`
-- holds the bytes that each lane's keep. `app/store/dead_letters.py` says how many those may be.
local function keep_letter(id, where, bytes)
  redis.call('ZADD', P .. 'dead', NOW, id)
  redis.call('ZADD', P .. 'letters:' .. where, NOW, id)
  redis.call('HINCRBY', P .. 'letters', where, str(bytes))
end

-- Forget a letter and return what it was (item, at), or nil if there is none.
local function drop_letter(id)
  local letter = redis.call('HMGET', P .. 'd:' .. id, 'lane', 'item', 'at', 'bytes')
  local where = letter[1]
  redis.call('ZREM', P .. 'dead', id)
  if where and redis.call('ZREM', P .. 'letters:' .. where, id) == 1 then
    redis.call('HINCRBY', P .. 'letters', where, str(0 - (letter[4] or 0)))
    if redis.call('EXISTS', P .. 'letters:' .. where) == 0 then redis.call('HDEL', P .. 'letters', where) end
  end
  if redis.call('DEL', P .. 'd:' .. id) == 0 then return nil end
  return letter[2] or '', tonumber(letter[3] or NOW)
end
