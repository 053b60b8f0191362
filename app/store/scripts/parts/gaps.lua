-- Whether a message's number leaves a gap behind the last number of its thread that we know of.
local function leaves_gap(thread, index)
  return index > tonumber(redis.call('HGET', P .. 'c:' .. thread, 'seen') or index) + 1
end
