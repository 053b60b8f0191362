-- uses: statuses
-- A platform's own ids of a message are remembered, and the reports that came before them applied, in one step: no report
-- falls between.
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
