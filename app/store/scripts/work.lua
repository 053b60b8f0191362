-- Settle the head that was worked and claim the next one, in one step: an item leaves its mailbox only here, together with
-- the record of its outcome and everything that follows from it.
-- ARGV[3]: settlement as JSON, or ''. ARGV[4]: lane to claim from, or ''. ARGV[5]: the drain's token.
-- ARGV[6]: lease in ms. ARGV[7]: calls per second of the lane, 0 = no limit. ARGV[8]: seconds for which the record of what
-- is done is kept.
-- ->  {settled ('ok' | 'stale' | ''), state ('claimed' | 'idle' | 'more'), how many heads were given up as poison, how long
--     the claim is, claim..., wakes...}
even_if_full()
local settled = ''

local DONE_AWAY_MOST = 100 -- heads that one call does away with, as nobody else is served meanwhile

-- Rest the lane; what was asked for is never shortened, not by the success of another drain either.
local function pause(key, ms, why)
  local until_ = now + ms
  if until_ <= tonumber(redis.call('HGET', key, 'paused_until') or '0') then return end
  redis.call('HSET', key, 'paused_until', str(until_), 'paused_why', why)
end

-- While the breaker is open only its probe makes the pause longer: attempts that began before it opened say nothing new.
local function breaker(lane, s)
  local key = P .. 'lane:' .. lane
  local state = redis.call('HMGET', key, 'failures', 'opened', 'prober')
  local probing = state[3] == s.owner
  if s.lane == 'ok' then
    if state[1] then redis.call('HDEL', key, 'failures', 'opened', 'probe', 'prober') end
  elseif s.lane == 'sick' then
    local failures = redis.call('HINCRBY', key, 'failures', 1)
    if probing or (not state[2] and failures >= s.threshold) then
      local opened = redis.call('HINCRBY', key, 'opened', 1)
      pause(key, math.min(s.cooldown_ms * 2 ^ (opened - 1), s.cooldown_most_ms), s.why)
    end
  elseif s.lane == 'pause' then
    pause(key, s.pause_ms, s.why)
  end
  if probing then redis.call('HDEL', key, 'probe', 'prober') end
end

-- Remember a platform's own id of a message, and apply the reports that came before it.
local function bind(id, scope, retention)
  redis.call('HSET', P .. 'm:' .. id, 'xid', scope)
  redis.call('SET', P .. 'x:' .. scope, id, 'EX', retention)
  local early = P .. 'early:' .. scope
  local reports = redis.call('LRANGE', early, '0', '-1')
  for _, report in ipairs(reports) do
    local status, err = string.match(report, '^(%a+) ?(.*)$')
    climb(id, status, err, scope)
  end
  if #reports > 0 then redis.call('DEL', early) end
end

-- The same for a message that went out in several parts, each of which has an id of its own there.
local function bind_parts(id, scopes, retention)
  local key = P .. 'm:' .. id
  local parts = cjson.decode(redis.call('HGET', key, 'ps') or '{}')
  parts[id] = nil -- they stand for it
  for _, scope in ipairs(scopes) do parts[scope] = 'queued' end
  redis.call('HSET', key, 'ps', cjson.encode(parts))
  for _, scope in ipairs(scopes) do bind(id, scope, retention) end
end

-- Keep an item that was given up as a dead letter that only an operator may revive. A handoff that is revived is one
-- `again`: its conversation may have gone on without it.
local function bury(mailbox, lane, item, reason, err)
  local id = token()
  if item == 'handoff' then item = 'handoff again' end
  local message = string.match(item, '^message (%S+)')
  local bytes = message and redis.call('HSTRLEN', P .. 'm:' .. message, 'body') or 0
  redis.call('HSET', P .. 'd:' .. id, 'mailbox', mailbox, 'lane', lane, 'item', item, 'reason', reason, 'error', err,
    'at', NOW, 'bytes', bytes)
  keep_letter(id, lane, bytes)
  if message then climb(message, 'failed', reason .. ': ' .. err) end
end

local function append(op)
  local rec = op.rec
  if rec and redis.call('EXISTS', P .. 'm:' .. rec.id) == 1 then return end -- appended by an earlier try
  local named = rec and rec.id or ''
  if op.scope and not redis.call('SET', P .. 'x:' .. op.scope, named, 'NX', 'PX', op.window_ms) then return end
  if rec then
    move(op, (conversation_of(rec.cv)))
    return enter(rec, op.mailbox, op.lane)
  end
  push(op.mailbox, op.lane, op.item)
end

local function settle(s)
  local box, queue = P .. 'b:' .. s.mailbox, P .. 'q:' .. s.mailbox
  local owner, lane, claims = unpack(redis.call('HMGET', box, 'owner', 'lane', 'claims'))
  if owner ~= s.owner or not lane then return 'stale' end
  local item = s.item
  if s.outcome == 'done' or s.outcome == 'dead' then
    drop_head(s.mailbox, lane, item)
  else
    redis.call('HDEL', box, 'owner')
    if redis.call('LINDEX', queue, '0') ~= item then -- the mailbox was lost; its head is still in hand
      redis.call('LPUSH', queue, item)
      redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    end
  end
  local id = string.match(item, '^message (%S+)')
  breaker(lane, s)
  local function front(items)
    for n = #items, 1, -1 do
      redis.call('LPUSH', queue, items[n])
      local again = string.match(items[n], '^message (%S+)')
      if again then redis.call('PERSIST', P .. 'm:' .. again) end
      redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    end
  end
  if s.outcome == 'done' then
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
    if s.live then live(s.cv, s.live, 'kind', s.live_kind) end
  elseif s.outcome == 'dead' then
    bury(s.mailbox, lane, item, s.reason, s.error)
  elseif s.outcome == 'retry' then
    -- claims that ended without a result have spent attempts, and whether they did their work is still unknown
    local spent = tonumber(claims or '1') - 1
    if s.counts and redis.call('HEXISTS', P .. 'lane:' .. lane, 'opened') == 0 then spent = spent + 1 end
    if spent > 0 then redis.call('HINCRBY', box, 'attempts', spent) end
    if s.uncertain or claims ~= '1' then redis.call('HSET', box, 'uncertain', '1') end
    redis.call('HDEL', box, 'claims')
    if id and redis.call('EXISTS', P .. 'm:' .. id) == 1 then redis.call('HSET', P .. 'm:' .. id, 'er', s.error) end
    release(s.mailbox, lane, now + s.due_ms)
    return 'ok'
  elseif s.outcome == 'reroute' then
    -- what was tried and doubted with the old target means nothing to the new one
    redis.call('HDEL', box, 'claims', 'attempts', 'progress', 'uncertain', 'first')
    redis.call('ZREM', P .. 'leased:' .. lane, s.mailbox)
    local count = redis.call('LLEN', queue)
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', -count)
    redis.call('HINCRBY', P .. 'lane:' .. s.to, 'backlog', count)
    redis.call('HSET', box, 'lane', s.to)
    get_ready(s.mailbox, s.to)
    wake(s.to)
    return 'ok'
  elseif s.outcome == 'behind' then
    -- what is in front must be done first; the head was not tried now, and what was before is none of the new head's
    redis.call('HDEL', box, 'claims', 'attempts', 'progress', 'uncertain', 'first')
    front(s.front)
    release(s.mailbox, lane, NOW)
    return 'ok'
  end
  if s.session then write_session(s.cv, s.session) end
  if s.watch_ms then watch(s.cv, s.watch_ms) end
  if s.chat and type(s.chat.seen) == 'number' then
    saw(s.chat.name, s.chat.seen, s.chat.keep)
    redis.call('HSET', P .. 'c:' .. s.chat.name, 'read', str(s.chat.read))
  end
  front(s.front)
  for _, op in ipairs(s.append) do append(op) end
  release(s.mailbox, lane, NOW)
  return 'ok'
end

if ARGV[3] ~= '' then settled = settle(cjson.decode(ARGV[3])) end

local lane, drain = ARGV[4], ARGV[5]
local poisoned = 0 -- heads that were given up here

-- One flat list, because Redis writes each list inside of another one to the socket by itself.
local function answer(state, ...)
  local said = { settled, state, poisoned, select('#', ...), ... }
  for _, value in ipairs(wakes) do said[#said + 1] = value end
  return said
end

if lane == '' then return answer('idle') end
local lane_key, drains = P .. 'lane:' .. lane, P .. 'drains:' .. lane
local ready, leased = P .. 'ready:' .. lane, P .. 'leased:' .. lane

local function leave()
  redis.call('ZREM', drains, drain)
  return answer('idle')
end

-- A token without room is of a wake-up that came too late. Leases are counted too: a doubled wake-up has a valid token.
local limit = limit_of(lane)
if not redis.call('ZSCORE', drains, drain) then
  redis.call('ZREMRANGEBYSCORE', drains, '-inf', NOW)
  if redis.call('ZCARD', drains) >= limit then return leave() end
end
if redis.call('ZCARD', leased) >= limit then return leave() end

-- Keep the token for the wake-up that goes on, if there is work.
local function go_on_later()
  if redis.call('ZCOUNT', ready, '-inf', NOW) == 0 then return leave() end
  redis.call('ZADD', drains, now + WAKE_MS, drain)
  return answer('more')
end

if ARGV[6] == '0' then return go_on_later() end -- the time slice is over

local state = redis.call('HMGET', lane_key, 'paused_until', 'opened', 'probe', 'tokens', 'tokens_at')
if tonumber(state[1] or '0') > now then return leave() end
if state[2] and tonumber(state[3] or '0') > now then return leave() end -- one probe at a time

-- Of a lane to customers: whose the head is that was looked at last, and whether they have several addresses.
local outbound = string.sub(lane, 1, 9) == 'outbound:'
local person, several

-- The id of a message that was on its way when its customer opted out.
local function unwanted_message(mailbox, item)
  if not outbound then return nil end
  person, several = conversation_of(string.match(mailbox, '^(.*)|[^|]*$'))
  local id = string.match(item, '^message (%x+)')
  if not id or not wants_none(person) then return nil end
  return redis.call('HEXISTS', P .. 'm:' .. id, 'ex') == 0 and id or nil
end

-- A handoff that is given up here leaves its conversation in a dead end: before all the rest, a worker leads it back.
local function lead_back(mailbox, lane)
  redis.call('LPUSH', P .. 'q:' .. mailbox, 'lost handoff')
  redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
end

local lease = tonumber(ARGV[6])
local function next_due()
  for _ = 1, DONE_AWAY_MOST do
    local mailbox, due = unpack(redis.call('ZPOPMIN', ready))
    if not mailbox then return nil end
    if tonumber(due) > now then
      redis.call('ZADD', ready, due, mailbox)
      return nil
    end
    local box = P .. 'b:' .. mailbox
    local item = redis.call('LINDEX', P .. 'q:' .. mailbox, '0')
    local state = redis.call('HMGET', box, 'claims', 'attempts', 'progress', 'uncertain', 'first', 'lane')
    local moved = item and state[6] and state[6] ~= lane -- it waits in another lane, and its place here is left over
    local unwanted = item and unwanted_message(mailbox, item)
    local poison = tonumber(state[1] or '0') >= POISON_CLAIMS
    if item and not (moved or unwanted or poison) then return mailbox, item, state end
    if not moved then
      if item then drop_head(mailbox, lane, item) end
      if unwanted then
        refuse(unwanted, tonumber(ARGV[8]))
      elseif item then
        bury(mailbox, lane, item, 'poison', 'claimed ' .. POISON_CLAIMS .. ' times without a result')
        if item == 'handoff' then lead_back(mailbox, lane) end
        poisoned = poisoned + 1
      end
      release(mailbox, lane, NOW)
    end
  end
end

local rate = tonumber(ARGV[7])
if rate > 0 and redis.call('ZCOUNT', ready, '-inf', NOW) > 0 then
  local burst = math.max(1, rate)
  local tokens = tonumber(state[4] or burst)
  tokens = math.min(burst, tokens + math.max(0, now - tonumber(state[5] or now)) * rate / 1000) -- clocks are set back
  if tokens < 1 then
    redis.call('HSET', lane_key, 'paused_until', str(now + math.ceil((1 - tokens) * 1000 / rate)), 'paused_why', 'rate')
    redis.call('HSET', lane_key, 'tokens', tostring(tokens), 'tokens_at', NOW)
    return leave()
  end
  redis.call('HSET', lane_key, 'tokens', tostring(tokens - 1), 'tokens_at', NOW)
end

local mailbox, item, known = next_due()
if not mailbox then return go_on_later() end
local box = P .. 'b:' .. mailbox
local owner = token()
local until_ = str(now + lease)
redis.call('ZADD', leased, until_, mailbox)
local claims, first = (known[1] or 0) + 1, known[5] or NOW
redis.call('HSET', box, 'owner', owner, 'claims', claims, 'first', first, 'lane', lane)
redis.call('ZADD', drains, until_, drain)
if state[2] then redis.call('HSET', lane_key, 'probe', until_, 'prober', owner) end
local cv = string.match(mailbox, '^(.*)|[^|]*$')
local id = string.match(item, '^message (%x+)') or string.match(item, '^status (%x+)')
local rec = id and redis.call('HMGET', P .. 'm:' .. id, 'body', 'st', 'er', 'sa') or {}
local session = outbound and {} or redis.call('HGETALL', P .. 's:' .. cv)
local to = several and redis.call('GET', P .. 'to:' .. person) or ''
return answer('claimed', mailbox, owner, item, claims, known[2] or 0, known[3] or '', known[4] or '', cv, NOW,
  rec[1] or '', rec[2] or '', rec[3] or '', first, rec[4] or '0', to, unpack(session))
