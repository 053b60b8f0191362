-- uses: people mailboxes records items
-- Two conversations turn out to be one person's. All that is known of them comes together, and from then on every address
-- leads to the one: there is no moment in which half of it has moved.

local conversation_of_all
do
  -- Of two conversations: the one that goes on, the one where somebody spoke last, and the other one. If only one of them is
  -- known, it is that; if none, the first.
  local function first_of(cv, other)
    local function last_at(of)
      local exists = redis.call('EXISTS', P .. 'n:' .. of, P .. 't:' .. of, P .. 'q:' .. of .. '|inbound', P .. 'o:' .. of) > 0
      return tonumber(redis.call('HGET', P .. 's:' .. of, 'last_at') or exists and '0' or '-1')
    end
    if last_at(other) > last_at(cv) then return other, cv end
    return cv, other
  end

  -- What was said in both, in time.
  local function unite_timelines(keeps, goes, retention)
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
    for place = math.max(1, #ids - MAX_TIMELINE + 1), #ids do redis.call('RPUSH', timeline, ids[place]) end
    redis.call('EXPIRE', timeline, retention)
  end

  -- `goes` was a conversation of its own: what is known of its customer is known in `keeps`, too. What waits there is worked
  -- there, in its order and in its session, and the answers are the customer's; what is open there is closed behind it.
  local function unite(keeps, goes, retention)
    local theirs, ours = redis.call('HGETALL', P .. 'o:' .. goes), redis.call('HGET', P .. 'o:' .. keeps, 'at')
    if #theirs > 0 and tonumber(redis.call('HGET', P .. 'o:' .. goes, 'at') or '0') > tonumber(ours or '0') then
      redis.call('HSET', P .. 'o:' .. keeps, unpack(theirs))
    end
    local costs = redis.call('HGETALL', P .. 'cost:c:' .. goes)
    for n = 1, #costs, 2 do redis.call('HINCRBY', P .. 'cost:c:' .. keeps, costs[n], costs[n + 1]) end
    local lasts = redis.call('TTL', P .. 'cost:c:' .. goes)
    if lasts > redis.call('TTL', P .. 'cost:c:' .. keeps) then redis.call('EXPIRE', P .. 'cost:c:' .. keeps, lasts) end
    redis.call('DEL', P .. 'cost:c:' .. goes)
    unite_timelines(keeps, goes, retention)
    for _, name in ipairs(redis.call('SMEMBERS', P .. 'w:' .. goes)) do redis.call('SADD', P .. 'w:' .. keeps, name) end
    redis.call('SADD', P .. 'w:' .. keeps, goes)
    redis.call('DEL', P .. 'w:' .. goes, P .. 'to:' .. goes)
    local session = redis.call('HMGET', P .. 's:' .. goes, 'destination', 'handles')
    if session[1] and cjson.decode(session[2] or '{}').chat then
      push(goes .. '|inbound', 'inbound:' .. session[1], END)
    end
  end

  -- The conversation of a customer who is named under several addresses: `names` are those of further ones, `written` is that
  -- of the one that is named, and leads to `cv`. All that lead to it are remembered for as long as its session (`keep`), and
  -- which of them wrote now.
  function conversation_of_all(cv, written, names, rec, keep)
    for _, name in ipairs(names) do
      local other = conversation_of(name)
      if other ~= cv then
        local keeps, goes = first_of(cv, other)
        unite(keeps, goes, rec.retention)
        cv = keeps
      end
    end
    local known = P .. 'w:' .. cv
    redis.call('SADD', known, cv, written, unpack(names))
    redis.call('EXPIRE', known, keep)
    for _, name in ipairs(redis.call('SMEMBERS', known)) do
      redis.call('SET', P .. 'n:' .. name, cv, 'EX', keep)
      leads[name] = cv
    end
    if rec.dr == 'inbound' then redis.call('SET', P .. 'to:' .. cv, string.match(written, '^[^/]*/(.*)$'), 'EX', keep) end
    return cv
  end
end
