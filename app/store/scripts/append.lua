-- uses: people lanes mailboxes followed items
-- Append one event that is no message (typing, ended) to a mailbox, once for each `scope` (its external id; '' = always).
-- ARGV[3]: JSON {mailbox, lane, item, cv, follow, max_mailbox, scope, window_ms, held}
--   held: {mailbox, owner} of the work that it comes from; once that lease is lost nothing is appended
-- ->  {'ok' | 'mailbox_full', wakes...}
local a = cjson.decode(ARGV[3])
if a.held and redis.call('HGET', P .. 'b:' .. a.held.mailbox, 'owner') ~= a.held.owner then return { 'ok' } end
if string.sub(a.item, 1, #END_BY_PLATFORM) ~= END_BY_PLATFORM then -- that one is about the very session that has the thread
  a.cv = conversation_of(a.cv)
  a.mailbox = a.cv .. string.match(a.mailbox, '|[^|]*$')
end
if redis.call('LLEN', P .. 'q:' .. a.mailbox) >= a.max_mailbox then return { 'mailbox_full' } end
if a.scope ~= '' and not redis.call('SET', P .. 'x:' .. a.scope, '', 'NX', 'PX', a.window_ms) then return { 'ok' } end
push(a.mailbox, a.follow and lane_of_session(a.cv, a.lane) or a.lane, a.item)
return { 'ok', unpack(wakes) }
