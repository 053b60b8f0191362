-- The lane of the destination that a conversation's session is with, if there is one; else `lane`.
local function lane_of_session(conversation, lane)
  local destination = redis.call('HGET', P .. 's:' .. conversation, 'destination')
  local found = destination and 'inbound:' .. destination
  return found and redis.call('HEXISTS', P .. 'lanes', found) == 1 and found or lane
end
