-- uses: tokens limits people lanes lane_states pacing entries items suspects expiring broadcasts places spacing done_away
-- The next head of a lane is handed out under a lease: to one drain alone, within the lane's limit and rate, and while it
-- does not rest. What nobody may work any more is done away with on the way.
local claim
do
  local MAX_DONE_AWAY = 100 -- heads in one call, as nobody else is served meanwhile

  -- Of a lane to customers: whose the head is that was looked at last, and whether they have several addresses.
  local person, several
  each_call(function() person, several = nil, nil end)

  -- The id of a message that was on its way when its customer opted out.
  local function unwanted_message(mailbox, item)
    person, several = conversation_of(string.match(mailbox, '^(.*)|[^|]*$'))
    local id = string.match(item, DELIVERED)
    if not id or not wants_none(person) then return nil end
    return redis.call('HEXISTS', P .. 'm:' .. id, 'ex') == 0 and id or nil
  end

  -- ->  what `b:` says of the mailbox and of its head
  local function known_of(mailbox)
    local flat, known = redis.call('HGETALL', P .. 'b:' .. mailbox), {} -- an idle one has few of its fields
    for n = 1, #flat, 2 do known[flat[n]] = flat[n + 1] end
    return known
  end

  -- ->  mailbox, head, what is known of them, of what is due; nil, and whether there is more, if nothing is handed out
  local function next_due(lane, outbound, retention, bulk, solitude, expire_ms, each)
    for _ = 1, MAX_DONE_AWAY do
      local mailbox = next_mailbox(lane, bulk)
      if not mailbox then return nil end
      local item = redis.call('LINDEX', P .. 'q:' .. mailbox, '0')
      local known = known_of(mailbox)
      local moved = item and known.lane and known.lane ~= lane -- it waits in another lane, and its place here is left over
      local unwanted = item and outbound and unwanted_message(mailbox, item)
      local poison = is_poison(known.alone)
      local expired = item and not poison and has_expired(item, known.progress, expire_ms) and expire_ms
      local works = item and not (moved or unwanted or poison or expired)
      local later = works and (set_aside(known.claims, solitude) or held_until(lane, mailbox, item, each))
      if works and not later then return mailbox, item, known end
      if later then
        wait_in(mailbox, lane, str(later))
      elseif not moved then
        do_away(mailbox, lane, item, unwanted, retention, known.asked, expired)
      end
    end
    return nil, 'more'
  end

  -- Whether the lane's rate allows a call now; if not, it rests until it does.
  local function may_call(key, rate)
    local tokens, at = unpack(redis.call('HMGET', key, 'tokens', 'tokens_at'))
    local burst = math.max(1, rate)
    local since = math.max(0, now - tonumber(at or now)) -- clocks are set back
    tokens = math.min(burst, tonumber(tokens or burst) + since * rate / 1000)
    local allowed = tokens >= 1
    if not allowed then
      redis.call('HSET', key, 'paused_until', str(now + math.ceil((1 - tokens) * 1000 / rate)), 'paused_why', 'rate')
    end
    redis.call('HSET', key, 'tokens', tostring(allowed and tokens - 1 or tokens), 'tokens_at', NOW)
    return allowed
  end

  -- The session that the head is for, in the order of `app/store/claims.py`; empty: none.
  local function session_of(cv)
    local session = redis.call('HMGET', P .. 's:' .. cv, 'destination', 'mode', 'handles', 'context', 'since', 'last_at',
      'version', 'refused', 'late')
    return session[1] and session or {}
  end

  -- What most heads have nothing of, as JSON; '': nothing.
  local function rest_of(known, rec, suspect)
    local rest = {
      suspect = suspect,
      attempts = known.attempts, progress = known.progress, uncertain = known.uncertain, asked = known.asked,
      error = rec[3] or nil, status_at = rec[4] or nil, to = several and redis.call('GET', P .. 'to:' .. person) or nil,
    }
    return next(rest) and cjson.encode(rest) or ''
  end

  -- `probes`: the lane's breaker is open, and this is its probe.
  local function hand_out(lane, until_, probes, outbound, mailbox, item, known, turn, solitude)
    local owner, first = token(), known.first or NOW
    redis.call('ZADD', P .. 'leased:' .. lane, until_, mailbox)
    local box, claims, suspect = P .. 'b:' .. mailbox, hand_to(mailbox, known.claims, solitude)
    redis.call('HSET', box, 'owner', owner, 'claims', str(claims), 'first', first)
    if not known.lane then redis.call('HSET', box, 'lane', lane) end
    if probes then redis.call('HSET', P .. 'lane:' .. lane, 'probe', until_, 'prober', owner) end
    local id = string.match(item, DELIVERED) or string.match(item, REPORTED)
    local rec = id and redis.call('HMGET', P .. 'm:' .. id, 'body', 'st', 'er', 'sa') or {}
    local session = outbound and {} or session_of(string.match(mailbox, '^(.*)|[^|]*$'))
    return 'claimed', mailbox, owner, item, str((known.claims or 0) + 1), NOW, first, turn, rec[1] or '', rec[2] or '',
      rest_of(known, rec, suspect), unpack(session)
  end

  -- A drain ends, unless it is to go on later and there is work: then its token is kept for the wake-up that does.
  local function leave(lane, drain, go_on, bulk)
    if go_on and count_due(lane, bulk) > 0 then
      redis.call('ZADD', P .. 'drains:' .. lane, now + WAKE_MS, drain)
      return 'more'
    end
    redis.call('ZREM', P .. 'drains:' .. lane, drain)
    return 'idle'
  end

  -- `lease` in ms, 0: the time slice is over, only tell whether there is more, -1: the worker has no thread for it; `rate` in
  -- calls per second, 0: no limit; `retention`: seconds for which the record of what is done is kept; `seen`: what the worker
  -- has seen of the lane's calls, if the last one went well; `solitude`: see `work`; `expire_ms`, `each`: see `expiring`,
  -- `spacing`.  ->  'claimed', claim... | 'idle' | 'more'
  function claim(lane, drain, lease, rate, retention, seen, solitude, expire_ms, each)
    local drains, outbound = P .. 'drains:' .. lane, string.sub(lane, 1, 9) == 'outbound:'
    if lease < 0 then
      slow_down(lane, 'no thread')
      return leave(lane, drain)
    end
    local state = lane_state(lane)
    local turn, limit, bulk = state.turn or '0', limit_of(state.pace, state.cap, state.opened), state.bulk
    local leased, until_ = redis.call('ZCARD', P .. 'leased:' .. lane), str(now + lease)
    -- A token without room is of a wake-up that came too late. Leases are counted too: a doubled wake-up has a valid token.
    local renewed = redis.call('ZADD', drains, 'XX', 'CH', until_, drain) == 1
    if not renewed and not redis.call('ZSCORE', drains, drain) then
      redis.call('ZREMRANGEBYSCORE', drains, '-inf', NOW)
      if redis.call('ZCARD', drains) >= limit then return leave(lane, drain) end
    end
    if leased >= limit then return leave(lane, drain) end
    if lease == 0 then return leave(lane, drain, true, bulk) end
    if tonumber(state.paused_until or 0) > now then return leave(lane, drain) end
    if state.opened and tonumber(state.probe or 0) > now then return leave(lane, drain) end -- one probe at a time
    local calls = rate > 0 and count_due(lane, bulk) > 0
    if calls and not may_call(P .. 'lane:' .. lane, rate) then return leave(lane, drain) end
    if seen and leased + 1 >= limit and is_enough(seen, limit, turn, state.look_at) then turn = speed_up(lane, seen) end
    local mailbox, item, known = next_due(lane, outbound, retention, bulk, solitude, expire_ms, each)
    if calls and not mailbox then redis.call('HINCRBYFLOAT', P .. 'lane:' .. lane, 'tokens', '1') end -- no call is made
    if bulk then note_turn(lane, mailbox) end
    if not mailbox then return leave(lane, drain, item, bulk) end
    if not renewed then redis.call('ZADD', drains, until_, drain) end
    return hand_out(lane, until_, state.opened, outbound, mailbox, item, known, turn, solitude)
  end
end
