-- uses: tokens
-- A dead letter is kept until an operator decides. They stand in one list of all and in one for each lane (or name whose
-- webhook it was), the oldest first; `letters` holds the bytes that each lane's keep. `app/store/dead_letters.py` says how
-- many those may be.
local function keep_dead_letter(where, bytes, ...)
  local id = token()
  redis.call('HSET', P .. 'd:' .. id, 'lane', where, 'at', NOW, 'bytes', bytes, ...)
  redis.call('ZADD', P .. 'dead', NOW, id)
  redis.call('ZADD', P .. 'letters:' .. where, NOW, id)
  redis.call('HINCRBY', P .. 'letters', where, str(bytes))
  return id
end
