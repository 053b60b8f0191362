-- uses: lanes heads old_heads releases later_polls threads sessions follow_ups finishing given_up breakers items bursts
-- The head that was worked is settled: it leaves its mailbox only here, together with the record of its outcome and
-- everything that follows from it. Whoever lost the lease settles nothing.

local settle
do
  -- Put items before what waits.
  local function put_in_front(mailbox, lane, items)
    for n = #items, 1, -1 do
      redis.call('LPUSH', P .. 'q:' .. mailbox, items[n])
      local again = string.match(items[n], DELIVERED)
      if again then redis.call('PERSIST', P .. 'm:' .. again) end
      redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    end
  end

  -- The head stays: it is tried again later, in another lane, or behind what must be done first.
  local function settle_undone(s, lane, claims)
    local box, queue, id = P .. 'b:' .. s.mailbox, P .. 'q:' .. s.mailbox, string.match(s.item, DELIVERED)
    if s.outcome == 'retry' then
      -- claims that ended without a result have spent attempts, and whether they did their work is still unknown
      local spent = tonumber(claims or '1') - 1
      if s.counts and redis.call('HEXISTS', P .. 'lane:' .. lane, 'opened') == 0 then spent = spent + 1 end
      if spent > 0 then redis.call('HINCRBY', box, 'attempts', spent) end
      if s.uncertain or claims ~= '1' then redis.call('HSET', box, 'uncertain', '1') end
      redis.call('HDEL', box, 'owner', 'claims', 'alone')
      if id and redis.call('EXISTS', P .. 'm:' .. id) == 1 then redis.call('HSET', P .. 'm:' .. id, 'er', s.error) end
      return release(s.mailbox, lane, now + s.due_ms)
    end
    if s.outcome == 'behind' then
      put_in_front(s.mailbox, lane, s.front)
      return release(s.mailbox, lane, NOW, true)
    end
    forget_head(s.mailbox) -- what was tried and doubted with the old target means nothing to the new one
    redis.call('ZREM', P .. 'leased:' .. lane, s.mailbox)
    local count = redis.call('LLEN', queue)
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', -count)
    redis.call('HINCRBY', P .. 'lane:' .. s.to, 'backlog', count)
    redis.call('HSET', box, 'lane', s.to)
    get_ready(s.mailbox, s.to)
    wake(s.to)
  end

  function settle(s)
    local box, queue = P .. 'b:' .. s.mailbox, P .. 'q:' .. s.mailbox
    local owner, lane, claims, asked = unpack(redis.call('HMGET', box, 'owner', 'lane', 'claims', 'asked'))
    if owner ~= s.owner or not lane then return 'stale' end
    if s.garbled then s.item = redis.call('LINDEX', queue, '0') or s.item end -- text could not carry all its bytes
    local finished = s.outcome == 'done' or s.outcome == 'dead'
    if finished then
      drop_head(s.mailbox, lane, s.item)
      s.others = drop_asked(s.mailbox, lane, s.item, asked)
    elseif redis.call('LINDEX', queue, '0') ~= s.item then -- the mailbox was lost; its head is still in hand
      redis.call('LPUSH', queue, s.item)
      redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', '1')
    end
    breaker(lane, s)
    if not finished then
      settle_undone(s, lane, claims)
      return 'ok'
    end
    if s.outcome == 'done' then finish(s) else dead_letter(s.mailbox, lane, s.item, s.reason, s.error, s.others) end
    if s.session then write_session(s.cv, s.session) end
    if s.poll_ms then poll_later(s.cv, s.poll_ms) end
    if s.thread and type(s.thread.seen) == 'number' then
      saw(s.thread.name, s.thread.seen, s.thread.keep)
      redis.call('HSET', P .. 'c:' .. s.thread.name, 'read', str(s.thread.read))
    end
    if s.front then put_in_front(s.mailbox, lane, s.front) end
    for _, op in ipairs(s.append or {}) do follow_up(op) end
    release(s.mailbox, lane, NOW, true)
    return 'ok'
  end
end
