-- Accept one message: the dedup mark, the record, the place in its mailbox and the wake-up come into being together, or
-- not at all. So there is no moment in which a message is marked as seen but not stored.
-- ARGV[3]: JSON {scope, also, names, window_ms, rec, mailbox, lane, most, most_lane, follow, take, chat, consent, more, cost}
--   also:   a second name; whichever of the two was seen before, the message is a duplicate
--   names: conversations that further addresses of the same customer would have; all lead to one from now on
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

-- Whether `chat` (both names) is the one that the conversation's session has open: the only one that is looked at.
local function has_chat(conversation, chat)
  local session = redis.call('HMGET', P .. 's:' .. conversation, 'destination', 'handles')
  local open = session[1] and cjson.decode(session[2] or '{}').chat
  return type(open) == 'string' and session[1] .. ':' .. open == chat
end

-- The conversation of a customer who is named under several addresses, of which `written` leads to `cv`. From now on all of
-- them lead to one.
local function conversation_of_all(cv, written)
  -- Of two conversations that turn out to be one person's: the one that goes on, the one where somebody spoke last, and the
  -- other one. If only one of them is known, it is that; if none, the first.
  local function first_of(cv, other)
    local function last_at(of)
      local known = redis.call('EXISTS', P .. 'n:' .. of, P .. 't:' .. of, P .. 'q:' .. of .. '|inbound', P .. 'o:' .. of) > 0
      return tonumber(redis.call('HGET', P .. 's:' .. of, 'last_at') or known and '0' or '-1')
    end
    if last_at(other) > last_at(cv) then return other, cv end
    return cv, other
  end

  -- What was said in both, in time.
  local function unite_timelines(keeps, goes)
    local ids, at = redis.call('LRANGE', P .. 't:' .. goes, '0', '-1'), {}
    if #ids == 0 then return end
    for _, id in ipairs(redis.call('LRANGE', P .. 't:' .. keeps, '0', '-1')) do ids[#ids + 1] = id end
    for place, id in ipairs(ids) do
      local body = redis.call('HGET', P .. 'm:' .. id, 'body')
      at[id] = { body and cjson.decode(body).at or 0, place }
    end
    table.sort(ids, function(one, two)
      if at[one][1] ~= at[two][1] then return at[one][1] < at[two][1] end
      return at[one][2] < at[two][2]
    end)
    local timeline = P .. 't:' .. keeps
    redis.call('DEL', timeline)
    for place = math.max(1, #ids - TIMELINE_MOST + 1), #ids do redis.call('RPUSH', timeline, ids[place]) end
    redis.call('EXPIRE', timeline, rec.retention)
  end

  -- `goes` was a conversation of its own: what is known of its customer is known in `keeps`, too. What waits there is worked
  -- there, in its order and in its session, and the answers are the customer's; what is open there is closed behind it.
  local function unite(keeps, goes)
    local theirs, ours = redis.call('HGETALL', P .. 'o:' .. goes), redis.call('HGET', P .. 'o:' .. keeps, 'at')
    if #theirs > 0 and tonumber(redis.call('HGET', P .. 'o:' .. goes, 'at') or '0') > tonumber(ours or '0') then
      redis.call('HSET', P .. 'o:' .. keeps, unpack(theirs))
    end
    local costs = redis.call('HGETALL', P .. 'cost:c:' .. goes)
    for n = 1, #costs, 2 do redis.call('HINCRBY', P .. 'cost:c:' .. keeps, costs[n], costs[n + 1]) end
    local lasts = redis.call('TTL', P .. 'cost:c:' .. goes)
    if lasts > redis.call('TTL', P .. 'cost:c:' .. keeps) then redis.call('EXPIRE', P .. 'cost:c:' .. keeps, lasts) end
    redis.call('DEL', P .. 'cost:c:' .. goes)
    unite_timelines(keeps, goes)
    for _, name in ipairs(redis.call('SMEMBERS', P .. 'w:' .. goes)) do redis.call('SADD', P .. 'w:' .. keeps, name) end
    redis.call('SADD', P .. 'w:' .. keeps, goes)
    redis.call('DEL', P .. 'w:' .. goes, P .. 'to:' .. goes)
    local session = redis.call('HMGET', P .. 's:' .. goes, 'destination', 'handles')
    if session[1] and cjson.decode(session[2] or '{}').chat then
      push(goes .. '|inbound', 'inbound:' .. session[1], 'ended')
    end
  end

  -- All that lead to the conversation are remembered for as long as its session, and which of them wrote now.
  local function know()
    local names = P .. 'w:' .. cv
    redis.call('SADD', names, cv, written, unpack(a.names or {}))
    redis.call('EXPIRE', names, a.session_keep)
    for _, name in ipairs(redis.call('SMEMBERS', names)) do
      redis.call('SET', P .. 'n:' .. name, cv, 'EX', a.session_keep)
      leads[name] = cv
    end
    if rec.dr == 'inbound' then
      redis.call('SET', P .. 'to:' .. cv, string.match(written, '^[^/]*/(.*)$'), 'EX', a.session_keep)
    end
  end

  for _, name in ipairs(a.names or {}) do
    local other = conversation_of(name)
    if other ~= cv then
      local keeps, goes = first_of(cv, other)
      unite(keeps, goes)
      cv = keeps
    end
  end
  know()
  return cv
end

local written = rec.cv -- under the address that is named
local marks = {}
for _, scope in ipairs({ a.scope, a.also }) do
  if scope ~= '' then marks[#marks + 1] = P .. 'x:' .. scope end
end
local known = redis.call('MGET', P .. 'n:' .. written, unpack(marks))
leads[written] = known[1]
for n = 1, #marks do
  if known[n + 1] then return { 'duplicate', known[n + 1] } end
end
local gap = a.chat and leaves_gap(a.chat.name, a.chat.index)
if gap and has_chat(rec.cv, a.chat.name) then
  check(rec.cv, a.chat.lane)
  return { 'later', '', unpack(wakes) }
end
local cv, several = conversation_of(written)
if several or a.names then cv = conversation_of_all(cv, written) end -- though there be no room for the message
for _, entry in ipairs(a.more or {}) do move(entry, entry.rec.cv == written and cv or conversation_of(entry.rec.cv)) end
move(a, cv)
local state = redis.call('HMGET', P .. 'b:' .. a.mailbox, 'lane', 'owner')
local box_lane = state[1]
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
enter(rec, a.mailbox, lane, state)
if a.cost then book(rec.id, rec.cv, a.cost) end
for _, next in ipairs(a.more or {}) do enter(next.rec, next.mailbox, next.lane) end
return { 'ok', rec.id, unpack(wakes) }
