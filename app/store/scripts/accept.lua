-- Accept one message: the dedup mark, the record, the place in its mailbox and the wake-up come into being together, or
-- not at all. So there is no moment in which a message is marked as seen but not stored.
-- ARGV[3]: JSON {scope, also, window_ms, retention, rec, mailbox, lane, most, most_lane, follow, take, chat, consent, more, cost}
--   also:   a second name; whichever of the two was seen before, the message is a duplicate
--   follow: the lane is that of the session's destination, if there is a session
--   take:   {destination, mode, seize} that is active in the conversation; with `seize` it holds it from now on
--   chat:   {name, index, more, lane, keep}: the message's number in a chat of the destination. Behind a gap it is not recorded:
--           a look at the chat is asked for, which will find what is missing and this message, in order. A chat that the
--           session does not have (any more) is not looked at: what comes from there is taken as it comes
--   consent: {state, by, keep} that the customer states with this message; kept for so many seconds, without for ever
--   more:   {rec, mailbox, lane} of the messages that come with it: its further parts, an answer to it
--   cost:   what the message costs, see `book`
-- ->  {'ok' | 'duplicate' | 'later' | 'mailbox_full' | 'lane_full', message id, wakes...}
local a = cjson.decode(ARGV[3])
local rec = a.rec
local marks = {}
for _, scope in ipairs({ a.scope, a.also }) do
  if scope ~= '' then marks[#marks + 1] = P .. 'x:' .. scope end
end
for _, seen in ipairs(marks) do
  local known = redis.call('GET', seen)
  if known then return { 'duplicate', known } end
end
local gap = a.chat and leaves_gap(a.chat.name, a.chat.index)
if gap and has_chat(rec.cv, a.chat.name) then
  check(rec.cv, a.chat.lane)
  return { 'later', '', unpack(wakes) }
end
local box_lane = redis.call('HGET', P .. 'b:' .. a.mailbox, 'lane')
local lane = box_lane or a.lane
if not box_lane and a.follow then
  local destination = redis.call('HGET', P .. 's:' .. rec.cv, 'destination')
  if destination and redis.call('HEXISTS', P .. 'lanes', 'inbound:' .. destination) == 1 then
    lane = 'inbound:' .. destination
  end
end
if a.consent then consent(rec.cv, a.consent.state, a.consent.by, a.consent.keep) end -- heard, though there be no room
if redis.call('LLEN', P .. 'q:' .. a.mailbox) >= a.most then return { 'mailbox_full', '' } end
if tonumber(redis.call('HGET', P .. 'lane:' .. lane, 'backlog') or '0') >= a.most_lane then return { 'lane_full', '' } end

for _, seen in ipairs(marks) do redis.call('SET', seen, rec.id, 'PX', a.window_ms) end
if a.chat and not gap and not a.chat.more then saw(a.chat.name, a.chat.index, a.chat.keep) end
if a.take then
  local session = P .. 's:' .. rec.cv
  local holds = redis.call('HGET', session, 'destination') == a.take.destination
  if a.take.seize and not holds then
    holds = true
    redis.call('HSET', session, 'destination', a.take.destination, 'mode', a.take.mode, 'handles', '{}', 'context', '{}',
      'since', '', 'refused', '0')
    redis.call('HINCRBY', session, 'version', 1)
  end
  if holds then
    redis.call('HSET', session, 'last_at', NOW)
    redis.call('EXPIRE', session, a.session_keep)
  end
end
if rec.lv ~= '' and a.show then live(rec.cv, tonumber(rec.lv), 'kind', 'message', 'id', rec.id) end
enter(rec, a.mailbox, lane)
if a.cost then book(rec.id, rec.cv, a.cost) end
for _, next in ipairs(a.more or {}) do enter(next.rec, next.mailbox, next.lane) end
return { 'ok', rec.id, unpack(wakes) }
