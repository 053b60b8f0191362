-- uses: even_if_full forgetting retentions dropped_dead_letters items letters
-- Forget a dead letter, and with it what nothing else needs: its messages' records, unless a report or a price still waits.
-- ARGV[3]: JSON {id, retention, retentions}  ->  1, or 0 if there is no such dead letter
local a = cjson.decode(ARGV[3])
local item, _, also = drop_dead_letter(a.id)
if not item then return 0 end

local function is_needed(message, cv, reports)
  if redis.call('EXISTS', P .. 'q:' .. cv .. '|price-' .. message) == 1 then return true end
  for _, waiting in ipairs(redis.call('LRANGE', P .. 'q:' .. cv .. '|status:' .. reports, '0', '-1')) do
    if string.match(waiting, REPORTED) == message then return true end
  end
  return false
end

for _, message in ipairs(messages_of(item, also)) do
  local cv, reports = unpack(redis.call('HMGET', P .. 'm:' .. message, 'cv', 'rp'))
  if cv and is_needed(message, cv, reports or '') then
    forget_later(message, retention_of(a, cv))
  else
    redis.call('DEL', P .. 'm:' .. message)
    if cv then redis.call('LREM', P .. 't:' .. cv, 1, message) end
  end
end
return 1
