-- uses: costs prices
-- The rule by which costs are booked. cost: {what, nanos, keep, refs}; `refs` (JSON) are the platform's ids of a message
-- whose price it is to be asked. What the message itself costs stays on its record, because a failed one to the customer
-- costs nothing and a reported price replaces it: cw (what), cn (nanos), cd (day), ck (keep), ca (refs).
local function book(id, cv, cost)
  local key, day = P .. 'm:' .. id, str(math.floor(now / 86400000))
  redis.call('HSETNX', key, 'cd', day)
  if string.sub(cost.what, 1, 5) ~= 'turn:' then
    redis.call('HSET', key, 'cw', cost.what, 'cn', str(cost.nanos), 'ck', cost.keep)
    if cost.refs then redis.call('HSET', key, 'ca', cost.refs) end
    if cost.refs and cost.what == 'inbound' then ask_price(id, cv) end
    if redis.call('HGET', key, 'st') == 'failed' then return end
  end
  add_cost(id, cv, day, cost.what, cost.nanos, cost.keep)
end
