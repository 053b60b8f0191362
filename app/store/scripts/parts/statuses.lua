-- uses: people mailboxes live consents costs prices items
-- A message's status climbs (the ladder of app/core/status.py), together with what follows from it: a report to whoever the
-- message came from, an entry in the customer's live stream, what it costs, and that they want no more messages, if it failed
-- for that.
local OPTED_OUT = 'opted_out: ' -- begins the error of what an opt-out stopped, whoever noticed it
local climb
do
  local RANK = { queued = 0, sent = 1, delivered = 2, read = 3 }

  local function climbs(current, reported)
    if current == reported then return false end
    if reported == 'failed' then return RANK[current] ~= nil and RANK[current] < RANK.delivered end
    if current == 'failed' then return RANK[reported] >= RANK.delivered end
    return RANK[reported] > RANK[current]
  end

  -- Whether a message that was refused for an opt-out tells nothing: that is known, or it is older than what is.
  local function is_old_news(id, conversation)
    local known = redis.call('HMGET', P .. 'o:' .. (conversation_of(conversation)), 'state', 'at')
    if not known[1] then return false end
    local body = redis.call('HGET', P .. 'm:' .. id, 'body')
    return known[1] == 'out' or not body or cjson.decode(body).at < tonumber(known[2] or '0')
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

  -- Raise a message's status. `part` names the part that it is about; what happens to a message for which another one speaks
  -- (`wh`) happens to a part of that one.  ->  whether it climbed
  function climb(id, status, err, part)
    local key = P .. 'm:' .. id
    local rec = redis.call('HMGET', key, 'st', 'cv', 'rp', 'lv', 'er', 'cw', 'ps', 'wh')
    if not (rec[1] and rec[2]) then return false end
    if rec[7] then
      local parts = cjson.decode(rec[7])
      local name = parts[part] and part or id
      if parts[name] then status = climb_in_parts(key, parts, name, status) end
    end
    if not status or not climbs(rec[1], status) then return false end
    redis.call('HSET', key, 'st', status, 'sa', NOW)
    if err and err ~= '' then redis.call('HSET', key, 'er', err) elseif rec[5] then redis.call('HDEL', key, 'er') end
    if rec[6] then book_climb(id, rec[2], rec[1], status) end
    if rec[3] and rec[3] ~= '' then
      push(rec[2] .. '|status:' .. rec[3], 'status:' .. rec[3], REPORT .. id .. ' ' .. status)
    end
    if rec[4] and rec[4] ~= '' then
      live(rec[2], tonumber(rec[4]), 'kind', 'status', 'id', id, 'status', status, 'error', err or '')
    end
    local refused = status == 'failed' and string.sub(err or '', 1, #OPTED_OUT) == OPTED_OUT
    if refused and redis.call('HGET', key, 'dr') == 'outbound' and not is_old_news(id, rec[2]) then
      consent(rec[2], 'out', string.sub(err, #OPTED_OUT + 1))
    end
    if rec[8] then climb(rec[8], status, err, id) end
    return true
  end
end
