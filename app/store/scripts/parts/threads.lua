-- How far a destination's thread is known, where its messages are numbered: the number only climbs.
local function saw(thread, index, keep)
  if type(index) ~= 'number' then return end -- nobody knows
  local key = P .. 'c:' .. thread
  if index > tonumber(redis.call('HGET', key, 'seen') or '-2') then redis.call('HSET', key, 'seen', str(index)) end
  redis.call('EXPIRE', key, keep)
end
