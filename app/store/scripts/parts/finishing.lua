-- uses: live bookings receipts statuses forgetting items
-- A head is done: its message costs, is shown, has ids and a status, and may be forgotten, all at once.
local function finish(s)
  local id = string.match(s.item, DELIVERED)
  if id then
    if s.cost then book(id, s.cv, s.cost) end
    if s.show then
      local lv = redis.call('HGET', P .. 'm:' .. id, 'lv')
      if lv and lv ~= '' then live(s.cv, tonumber(lv), 'kind', 'message', 'id', id) end
    end
    if s.parts then bind_parts(id, s.parts, s.retention) elseif s.scope then bind(id, s.scope, s.retention) end
    if s.status then climb(id, s.status, s.error) end
    forget_later(id, s.retention)
  end
  for _, other in ipairs(s.others) do -- asked with it
    if s.status then climb(other, s.status, s.error) end
    forget_later(other, s.retention)
  end
  if #s.others > 0 then redis.call('HINCRBY', P .. 'counts', 'asked_as_one', #s.others + 1) end
  if s.live then live(s.cv, s.live, 'kind', s.live_kind) end
end
