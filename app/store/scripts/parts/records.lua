-- A message's record, and its place in the timeline and the lists. It has no expiry until its work is done: what waits is
-- never forgotten.
local MAX_TIMELINE = 200

-- rec: id, body, cv (conversation), dr (direction), rp (who gets its status reports, or ''), lv (seconds for which the live
-- stream keeps it, '' for channels without one), ex (set: it goes to a customer who opted out, too, because it confirms just
-- that), lasts (set: it never expires, nor does one with ex), waited (ms that it has waited elsewhere), ix (the lists in
-- which it stands), listed (seconds for which those keep it; without: as long as the record), parts (messages before it for
-- which it speaks), retention (seconds)
local function record(rec)
  local key = P .. 'm:' .. rec.id
  redis.call('HSET', key, 'body', rec.body, 'st', 'queued', 'cv', rec.cv, 'dr', rec.dr, 'rp', rec.rp, 'lv', rec.lv,
    'qd', (rec.ex or rec.lasts) and '' or str(now - (rec.waited or 0)))
  if rec.ex then redis.call('HSET', key, 'ex', '1') end
  local listed = rec.listed or rec.retention
  for _, list in ipairs(rec.ix or {}) do
    redis.call('ZADD', P .. 'i:' .. list, NOW, rec.id)
    redis.call('ZREMRANGEBYSCORE', P .. 'i:' .. list, '-inf', now - listed * 1000)
    redis.call('EXPIRE', P .. 'i:' .. list, listed)
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
  if redis.call('RPUSH', timeline, rec.id) > MAX_TIMELINE then redis.call('LPOP', timeline) end
  redis.call('EXPIRE', timeline, rec.retention)
end
