-- uses: people unions moves lanes threads gaps polls live consents bookings entries arrivals records items
-- Accept one message: the dedup mark, the record, the place in its mailbox and the wake-up come into being together, or
-- not at all. So there is no moment in which a message is marked as seen but not stored.
-- ARGV from 3: the message's id, body, conversation, direction, and who gets its reports (see `records`); its lane; its external
-- id with its name space ('' = none), and for how many ms it is known again; how many items its mailbox and its lane may
-- have; seconds for which records, and for which sessions are kept; '1' if the lane is that of the session's destination, where
-- there is a session. ARGV[16]: what only some have, as JSON, or '':
--   also:   a second name; whichever of the two was seen before, the message is a duplicate
--   names: conversations that further addresses of the same customer would have; all lead to one from now on
--   take:   {destination, mode, seize} that is active in the conversation; with `seize` it holds it from now on
--   thread: {name, index, more, lane, keep}: the message's number in a thread of the destination. Behind a gap it is not
--           recorded: a poll is asked for, which will find what is missing and this message, in order. A thread that the
--           session does not have (any more) is not looked at: what comes from there is taken as it comes
--   live, ex, lasts, waited, ix, listed, parts: of the record; show: the live stream tells of it at once
--   bulk: it waits among the broadcasts
--   consent: {state, by, keep} that the customer states with this message; kept for so many seconds, without for ever
--   more:   {rec, mailbox, lane} of the messages that come with it: its further parts, an answer to it
--   cost:   what the message costs, see `book`
-- ->  {'ok' | 'duplicate' | 'later' | 'mailbox_full' | 'lane_full', message id, wakes...}
local id, body, written, direction, report_to, lane, scope, window_ms = unpack(ARGV, 3, 10)
local max_mailbox, max_lane, retention, session_keep, follow = unpack(ARGV, 11, 15)
local a = ARGV[16] ~= '' and cjson.decode(ARGV[16]) or {}
local rec = { id = id, body = body, cv = written, dr = direction, rp = report_to, lv = a.live and retention or '' }
rec.retention, rec.ex, rec.ix, rec.listed, rec.parts = retention, a.ex, a.ix, a.listed, a.parts
rec.lasts, rec.waited = a.lasts, a.waited
local entry = { rec = rec, mailbox = written .. '|' .. (a.bulk and 'bulk' or direction) }

-- Whether `thread` (both names) is the one that the conversation's session has open: the only one that is looked at.
local function has_thread(conversation, thread)
  local session = redis.call('HMGET', P .. 's:' .. conversation, 'destination', 'handles')
  local open = session[1] and cjson.decode(session[2] or '{}').chat
  return type(open) == 'string' and session[1] .. ':' .. open == thread
end

local function take_over(conversation, take)
  local session = P .. 's:' .. conversation
  local holds = redis.call('HGET', session, 'destination') == take.destination
  if take.seize and not holds then
    holds = true
    redis.call('HSET', session, 'destination', take.destination, 'mode', take.mode, 'handles', '{}', 'context', '{}',
      'since', '', 'refused', '0')
    redis.call('HINCRBY', session, 'version', 1)
  end
  if holds then
    redis.call('HSET', session, 'last_at', NOW)
    redis.call('EXPIRE', session, session_keep)
  end
end

local marks = {}
for _, name in ipairs({ scope, a.also }) do
  local mark = P .. 'x:' .. name
  if name ~= '' then marks[#marks + 1] = mark end
end
local known = redis.call('MGET', P .. 'n:' .. written, unpack(marks))
leads[written] = known[1]
for n = 1, #marks do
  if known[n + 1] then return { 'duplicate', known[n + 1] } end
end
local gap = a.thread and leaves_gap(a.thread.name, a.thread.index)
if gap and has_thread(rec.cv, a.thread.name) then
  poll(rec.cv, a.thread.lane)
  return { 'later', '', unpack(wakes) }
end
local cv, several = conversation_of(written)
if several or a.names then -- though there be no room for the message
  cv = conversation_of_all(cv, written, a.names or {}, rec, session_keep)
end
for _, entry in ipairs(a.more or {}) do move(entry, entry.rec.cv == written and cv or conversation_of(entry.rec.cv)) end
move(entry, cv)
if a.consent then consent(rec.cv, a.consent.state, a.consent.by, a.consent.keep) end -- heard, though there be no room
local place, full =
  arrive(entry.mailbox, lane, follow == '1' and rec.cv, DELIVER .. id, tonumber(max_mailbox), tonumber(max_lane))
if full then return { full, '' } end

for _, mark in ipairs(marks) do redis.call('SET', mark, id, 'PX', window_ms) end
if a.thread and not gap and not a.thread.more then saw(a.thread.name, a.thread.index, a.thread.keep) end
if a.take then take_over(rec.cv, a.take) end
if rec.lv ~= '' and a.show then live(rec.cv, tonumber(rec.lv), 'kind', 'message', 'id', id) end
record(rec)
if is_unwanted(rec) then
  turn_away(place)
  refuse(id, retention)
else
  stay(place)
end
if a.cost then book(id, rec.cv, a.cost) end
for _, next in ipairs(a.more or {}) do enter(next.rec, next.mailbox, next.lane) end
return { 'ok', id, unpack(wakes) }
