-- Shared by every script (prepended to each): the clock, mailboxes, wake-ups, costs, the status ladder.
-- KEYS[1] is the prefix with its hash tag, so that all keys lie in one slot; ARGV[1] is the time in ms or '' for Redis's own.
-- What one script alone needs stands in that script, as Redis makes each function anew with each call.
-- No script may fail once it has written: what it wrote would stand alone. So whatever a key or a field holds may be missing
-- (it expired, a server threw it away, somebody deleted it), and everything is worked with what is left.
local P = KEYS[1]
local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
-- Numbers travel to Redis as text: it takes longer to write a number of Lua's than to run the command.
local function str(n) return string.format('%.0f', n) end
local NOW = str(now)
local SEED = ARGV[2] -- random; owners and tokens made in this call are built from it
local made = 0
local wakes = {}

local WAKE_MS = 5000 -- a wake-up that did not arrive by then is lost
local LOST_LEASE_MS = 600000 -- of a mailbox that is at work and has lost its place among the others; the sweep cuts it short
local POISON_CLAIMS = 3 -- claims without a result
local LOOK_AGAIN_MS = 3600000 -- at a chat, if the look that is owed comes to nothing
local EARLY_S = 3600 -- how long a report may overtake its receipt
local EARLY_MOST = 20
local LIVE_MOST = 1000
local TIMELINE_MOST = 200
local MAX_NAMES = 16 -- of one person, each in place of another

-- Redis with a full memory refuses a script whose first write may need some, but lets all pass behind one that never does.
-- Scripts that work off what waits begin with it; those that bring more do not.
local function even_if_full() redis.call('DEL', P .. 'nothing') end

local function token()
  made = made + 1
  return SEED .. '-' .. made
end

-- A person may have several addresses. `n:` leads from each of them, also the first one, to their one conversation; `w:` are
-- all that lead to a conversation, `to:` is the one that wrote last. Who has one address has none of these.
-- `leads` is what `n:` says, as far as this call has read or written it; false: nothing.
-- -> the conversation, and whether it has several addresses
local leads = {}
local function conversation_of(cv)
  for _ = 1, MAX_NAMES do
    if leads[cv] == nil then leads[cv] = redis.call('GET', P .. 'n:' .. cv) end
    local to = leads[cv]
    if not to then return cv, false end
    if to == cv then return cv, true end
    cv = to
  end
  return cv, true
end

-- How many drains and leases a lane may have at once.
local function limit_of(lane) return tonumber(redis.call('HGET', P .. 'lanes', lane) or '1') end

-- Ask for one more drain of the lane, if work is due that no drain is on its way to and that it would be allowed to claim.
local function wake(lane)
  local limit, drains = limit_of(lane), P .. 'drains:' .. lane
  redis.call('ZREMRANGEBYSCORE', drains, '-inf', NOW)
  local drains_now, leased = redis.call('ZCARD', drains), redis.call('ZCARD', P .. 'leased:' .. lane)
  if drains_now >= limit or leased >= limit then return end
  local state = redis.call('HMGET', P .. 'lane:' .. lane, 'paused_until', 'opened', 'probe')
  if tonumber(state[1] or '0') > now or (state[2] and tonumber(state[3] or '0') > now) then return end
  local due = redis.call('ZCOUNT', P .. 'ready:' .. lane, '-inf', NOW)
  if due == 0 or drains_now - leased >= due then return end
  local t = token()
  redis.call('ZADD', drains, now + WAKE_MS, t)
  wakes[#wakes + 1] = lane
  wakes[#wakes + 1] = t
end

-- A mailbox that comes to a lane waits there from now on. `busy` names the lanes that the sweep must look at.
local function get_ready(mailbox, lane)
  redis.call('ZADD', P .. 'ready:' .. lane, NOW, mailbox)
  redis.call('SADD', P .. 'busy', lane)
end

-- Put an item at the end of a mailbox. An idle mailbox becomes ready in its lane; one that waits or is at work stays where it
-- is, and an item behind others makes nothing due. `state` is {lane, owner} of the mailbox, from whoever has read it.
local function push(mailbox, lane, item, state)
  local box = P .. 'b:' .. mailbox
  if redis.call('RPUSH', P .. 'q:' .. mailbox, item) == 1 and redis.call('HSETNX', box, 'lane', lane) == 1 then
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    get_ready(mailbox, lane)
    return wake(lane)
  end
  state = state or redis.call('HMGET', box, 'lane', 'owner')
  if not state[1] then redis.call('HSET', box, 'lane', lane) end
  lane = state[1] or lane
  redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
  local place, score = P .. 'ready:' .. lane, NOW
  if state[2] then place, score = P .. 'leased:' .. lane, str(now + LOST_LEASE_MS) end
  if redis.call('ZADD', place, 'NX', score, mailbox) == 1 then -- it had lost its place
    redis.call('SADD', P .. 'busy', lane)
    wake(lane)
  end
end

-- Ask for a look at the chat that a conversation has with its destination, unless one waits as the newest item. One that
-- is being worked does not count: what it saw may be older than the change.
local function check(conversation, lane)
  local mailbox = conversation .. '|inbound'
  local queue = P .. 'q:' .. mailbox
  if redis.call('LINDEX', queue, -1) == 'check' then
    local at_work = redis.call('HEXISTS', P .. 'b:' .. mailbox, 'owner') == 1
    if not at_work or redis.call('LLEN', queue) > 1 then return end
  end
  push(mailbox, lane, 'check')
end

-- Destinations that number a chat's messages: whether `index` leaves a gap behind the last number that we know of.
local function leaves_gap(chat, index)
  return index > tonumber(redis.call('HGET', P .. 'c:' .. chat, 'seen') or index) + 1
end

local function saw(chat, index, keep)
  if type(index) ~= 'number' then return end -- nobody knows
  local key = P .. 'c:' .. chat
  if index > tonumber(redis.call('HGET', key, 'seen') or '-2') then redis.call('HSET', key, 'seen', str(index)) end
  redis.call('EXPIRE', key, keep)
end

-- Look at the chat of a conversation again in `ms`; 0: no more.
local function watch(conversation, ms)
  if ms == 0 then
    redis.call('ZREM', P .. 'watch', conversation)
  else
    redis.call('ZADD', P .. 'watch', now + ms, conversation)
  end
end

-- Write a session, unless it changed hands since it was read.
local function write_session(conversation, s)
  local key = P .. 's:' .. conversation
  if tonumber(redis.call('HGET', key, 'version') or '0') ~= s.version then return end
  redis.call('HSET', key, 'last_at', NOW, unpack(s.fields))
  if s.changes_hands then redis.call('HINCRBY', key, 'version', 1) end
  redis.call('EXPIRE', key, s.keep)
end

local function live(conversation, retention, ...)
  local key = P .. 'e:' .. conversation
  redis.call('XADD', key, 'MAXLEN', '~', LIVE_MOST, '*', ...)
  redis.call('EXPIRE', key, retention)
end

-- Consent of a customer on one channel (app/core/consent.py), for `keep` seconds or for ever; it is that of the person,
-- whichever of their addresses it was stated under. `wants_none` is asked of the person's conversation.
local function wants_none(conversation) return redis.call('HGET', P .. 'o:' .. conversation, 'state') == 'out' end

local function consent(conversation, state, by, keep)
  local key = P .. 'o:' .. (conversation_of(conversation))
  redis.call('HSET', key, 'state', state, 'by', by, 'at', NOW)
  if keep then redis.call('EXPIRE', key, keep) else redis.call('PERSIST', key) end
end

-- Whether a message that was refused for an opt-out tells nothing: that is known, or it is older than what is.
local function is_old_news(id, conversation)
  local known = redis.call('HMGET', P .. 'o:' .. (conversation_of(conversation)), 'state', 'at')
  if not known[1] then return false end
  local body = redis.call('HGET', P .. 'm:' .. id, 'body')
  return known[1] == 'out' or not body or cjson.decode(body).at < tonumber(known[2] or '0')
end

local OPTED_OUT = 'opted_out: ' -- begins the error of what an opt-out stopped, whoever noticed it

local RANK = { queued = 0, sent = 1, delivered = 2, read = 3 }

-- The ladder of app/core/status.py.
local function climbs(current, reported)
  if current == reported then return false end
  if reported == 'failed' then return RANK[current] ~= nil and RANK[current] < RANK.delivered end
  if current == 'failed' then return RANK[reported] >= RANK.delivered end
  return RANK[reported] > RANK[current]
end

local COSTS_S = 400 * 86400 -- how long the sums of a day are kept

-- Costs are whole nanos of the configured currency; Lua's numbers hold them exactly below 2^53. Here alone they change: on
-- the message, in its channel's sums of a day and in its conversation's (kept for `keep` seconds from now), all as one.
local function add_cost(id, cv, day, what, nanos, keep)
  if nanos == 0 then return end
  local of_day, of_all = P .. 'cost:' .. day, P .. 'cost:c:' .. (conversation_of(cv))
  redis.call('HINCRBY', P .. 'm:' .. id, 'co', str(nanos))
  redis.call('HINCRBY', of_day, string.match(cv, '^[^/]*') .. '|' .. what, str(nanos))
  redis.call('EXPIRE', of_day, COSTS_S)
  redis.call('HINCRBY', of_all, what, str(nanos))
  redis.call('EXPIRE', of_all, keep)
end

-- Have the platform asked what it charged, in a mailbox of the message's own, unless that waits already.
local function ask_price(id, cv)
  local mailbox = cv .. '|price-' .. id
  if redis.call('LLEN', P .. 'q:' .. mailbox) == 0 then
    push(mailbox, 'status:' .. string.match(cv, '^[^/]*'), 'price ' .. id)
  end
end

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

-- What it means for the cost of a message to the customer that its status was `before` and climbed.
local function book_climb(id, cv, before, status)
  local rec = redis.call('HMGET', P .. 'm:' .. id, 'cw', 'cn', 'cd', 'ck', 'ca', 'pr')
  local what, nanos, day, keep, refs, reported = unpack(rec)
  if not what or what == 'inbound' or reported then return end
  if not (nanos and day and keep) then return end -- what was booked is no longer known
  if status == 'failed' then add_cost(id, cv, day, what, -tonumber(nanos), keep) end
  if before == 'failed' then add_cost(id, cv, day, what, tonumber(nanos), keep) end
  if refs then ask_price(id, cv) end
end

-- What it means for a message in parts that the status of one is to climb; nil: nothing. It has failed with any of them,
-- and has come as far as the one that is behind. `ps` (JSON): the status of each, by the name that reports have for it.
local function climb_in_parts(key, parts, name, status)
  if not climbs(parts[name], status) then return nil end
  parts[name] = status
  redis.call('HSET', key, 'ps', cjson.encode(parts))
  for _, other in pairs(parts) do
    if other == 'failed' then return status == 'failed' and status or nil end
    if status ~= 'failed' and RANK[other] < RANK[status] then status = other end
  end
  return status
end

-- Raise a message's status and append what follows: a report to whoever the message came from, an entry in the
-- customer's live stream, and that they want no more messages, if it failed for that. `part` names the part that it is
-- about; what happens to a message for which another one speaks (`wh`) happens to a part of that one.
local climb
function climb(id, status, err, part)
  local key = P .. 'm:' .. id
  local rec = redis.call('HMGET', key, 'st', 'cv', 'rp', 'lv', 'er', 'dr', 'cw', 'ps', 'wh')
  if not (rec[1] and rec[2]) then return false end
  if rec[8] then
    local parts = cjson.decode(rec[8])
    local name = parts[part] and part or id
    if parts[name] then status = climb_in_parts(key, parts, name, status) end
  end
  if not status or not climbs(rec[1], status) then return false end
  redis.call('HSET', key, 'st', status, 'sa', NOW)
  if err and err ~= '' then redis.call('HSET', key, 'er', err) elseif rec[5] then redis.call('HDEL', key, 'er') end
  if rec[7] then book_climb(id, rec[2], rec[1], status) end
  if rec[3] and rec[3] ~= '' then
    push(rec[2] .. '|status:' .. rec[3], 'status:' .. rec[3], 'status ' .. id .. ' ' .. status)
  end
  if rec[4] and rec[4] ~= '' then
    live(rec[2], tonumber(rec[4]), 'kind', 'status', 'id', id, 'status', status, 'error', err or '')
  end
  local refused = status == 'failed' and rec[6] == 'outbound' and string.sub(err or '', 1, #OPTED_OUT) == OPTED_OUT
  if refused and not is_old_news(id, rec[2]) then consent(rec[2], 'out', string.sub(err, #OPTED_OUT + 1)) end
  if rec[9] then climb(rec[9], status, err, id) end
  return true
end

-- Write a message's record. rec: id, body, cv (conversation), dr (direction), rp (who gets its status reports, or ''), lv
-- (seconds for which the live stream keeps it, '' for channels without one), ex (set: it goes to a customer who opted out,
-- too, because it confirms just that), ix (the lists in which it stands), parts (messages before it for which it speaks),
-- retention (seconds).
-- The record has no expiry until its work is done: what waits is never forgotten.
local function record(rec)
  local key = P .. 'm:' .. rec.id
  redis.call('HSET', key, 'body', rec.body, 'st', 'queued', 'cv', rec.cv, 'dr', rec.dr, 'rp', rec.rp, 'lv', rec.lv)
  if rec.ex then redis.call('HSET', key, 'ex', '1') end
  for _, list in ipairs(rec.ix or {}) do
    redis.call('ZADD', P .. 'i:' .. list, NOW, rec.id)
    redis.call('ZREMRANGEBYSCORE', P .. 'i:' .. list, '-inf', now - rec.retention * 1000)
    redis.call('EXPIRE', P .. 'i:' .. list, rec.retention)
  end
  if rec.parts then
    local parts = { [rec.id] = 'queued' }
    for _, part in ipairs(rec.parts) do
      local known = redis.call('HMGET', P .. 'm:' .. part, 'st', 'cv')
      if known[1] and known[2] == rec.cv then
        parts[part] = known[1]
        redis.call('HSET', P .. 'm:' .. part, 'wh', rec.id)
      end
    end
    redis.call('HSET', key, 'ps', cjson.encode(parts))
  end
  local timeline = P .. 't:' .. rec.cv
  if redis.call('RPUSH', timeline, rec.id) > TIMELINE_MOST then redis.call('LPOP', timeline) end
  redis.call('EXPIRE', timeline, rec.retention)
end

-- From here on the record may be forgotten: its work is done.
local function forget_later(id, retention)
  redis.call('EXPIRE', P .. 'm:' .. id, retention)
end

-- A customer who opted out gets nothing: the message has failed, and whoever wrote it hears that at once.
local function refuse(id, retention)
  climb(id, 'failed', OPTED_OUT .. 'the customer wants no messages on this channel')
  forget_later(id, retention)
end

-- Write a message's record and put it into its mailbox.
local function enter(rec, mailbox, lane, state)
  record(rec)
  if rec.dr == 'outbound' and not rec.ex and wants_none(rec.cv) then return refuse(rec.id, rec.retention) end
  push(mailbox, lane, 'message ' .. rec.id, state)
end

-- Take this head out of its mailbox, where it still is. Its attempts, progress and doubts are its own; they go with it.
local function drop_head(mailbox, lane, item)
  local queue = P .. 'q:' .. mailbox
  local head = redis.call('LPOP', queue)
  redis.call('HDEL', P .. 'b:' .. mailbox, 'claims', 'attempts', 'progress', 'uncertain', 'owner', 'first')
  if head == item then
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '-1')
  elseif head then
    redis.call('LPUSH', queue, head) -- the mailbox was lost, and this one came after that
  end
end

-- Let go of a mailbox: it is ready again at `due`, or forgotten if nothing is left in it. Whether it is empty must be
-- asked here, in the same script, or an item that came meanwhile would be stranded.
local function release(mailbox, lane, due)
  redis.call('ZREM', P .. 'leased:' .. lane, mailbox)
  if redis.call('LLEN', P .. 'q:' .. mailbox) > 0 then
    redis.call('ZADD', P .. 'ready:' .. lane, due, mailbox) -- the lane is `busy` already: it held the mailbox
  else
    redis.call('DEL', P .. 'b:' .. mailbox)
  end
end

-- Let an entry {rec, mailbox} be of the conversation `cv`: its customer wrote, or is named, under another address.
local function move(entry, cv)
  local rec = entry.rec
  if rec.cv == cv then return end

  -- Where the customer's address stands in a message's body, with its quotes; what others may choose stands behind it.
  local function find_customer(body)
    local _, key = string.find(body, '"customer":"', 1, true)
    local at = key and key + 1
    while at do
      at = string.find(body, '["\\]', at)
      if at and string.sub(body, at, at) == '"' then return key, at end
      at = at and at + 2
    end
  end

  local first, last = find_customer(rec.body)
  local address = cjson.encode(string.match(cv, '^[^/]*/(.*)$'))
  if first then rec.body = string.sub(rec.body, 1, first - 1) .. address .. string.sub(rec.body, last + 1) end
  entry.mailbox = cv .. string.match(entry.mailbox, '|[^|]*$')
  rec.cv = cv
end
