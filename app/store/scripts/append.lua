-- Append one event that is no message (typing, ended) to a mailbox, once for each `scope` (its external id; '' = always).
-- ARGV[3]: JSON {mailbox, lane, item, cv, follow, most, scope, window_ms}  ->  {'ok' | 'mailbox_full', wakes...}
local a = cjson.decode(ARGV[3])
local lane = a.lane
if string.sub(a.item, 1, 14) ~= 'ended platform' then -- that one is about the very session that has the chat
  a.cv = conversation_of(a.cv)
  a.mailbox = a.cv .. string.match(a.mailbox, '|[^|]*$')
end
if redis.call('LLEN', P .. 'q:' .. a.mailbox) >= a.most then return { 'mailbox_full' } end
if a.follow then
  local destination = redis.call('HGET', P .. 's:' .. a.cv, 'destination')
  if destination and redis.call('HEXISTS', P .. 'lanes', 'inbound:' .. destination) == 1 then
    lane = 'inbound:' .. destination
  end
end
if a.scope ~= '' and not redis.call('SET', P .. 'x:' .. a.scope, '', 'NX', 'PX', a.window_ms) then return { 'ok' } end
push(a.mailbox, lane, a.item)
return { 'ok', unpack(wakes) }
