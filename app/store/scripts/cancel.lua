-- uses: lanes heads old_heads forgetting statuses items
-- Call off a message that still waits for its customer, with all its parts or not at all. One that a worker has in hand, or
-- that an earlier try may have brought over, is too late.
-- ARGV[3]: JSON {ids, cv, retention, error}  ->  {'ok' | 'late', wakes...}
local a = cjson.decode(ARGV[3])
local mailbox = a.cv .. '|outbound'
if not redis.call('LPOS', P .. 'q:' .. mailbox, DELIVER .. a.ids[1]) then mailbox = a.cv .. '|bulk' end
local queue, box = P .. 'q:' .. mailbox, P .. 'b:' .. mailbox
local tried = redis.call('HMGET', box, 'owner', 'claims', 'uncertain', 'progress')
local begun = tried[1] or tried[2] or tried[3] or tried[4]
for _, id in ipairs(a.ids) do
  local position = redis.call('LPOS', queue, DELIVER .. id)
  if not position or (position == 0 and begun) then return { 'late' } end
end
local lane = redis.call('HGET', box, 'lane') or 'outbound:' .. string.match(a.cv, '^[^/]*')
local headless = false
for _, id in ipairs(a.ids) do
  if redis.call('LPOS', queue, DELIVER .. id) == 0 then
    drop_head(mailbox, lane, DELIVER .. id)
    headless = true
  else
    redis.call('LREM', queue, 1, DELIVER .. id)
    redis.call('HINCRBY', P .. 'lane:' .. lane, 'backlog', -1)
  end
  climb(id, 'failed', a.error)
  forget_later(id, a.retention)
end
if redis.call('LLEN', queue) == 0 then
  redis.call('ZREM', P .. 'ready:' .. lane, mailbox)
  redis.call('ZREM', P .. 'bulk:' .. lane, mailbox)
  redis.call('DEL', box)
elseif headless then -- the next one has not failed yet: it does not wait for what the head waited for
  forget_head(mailbox)
  get_ready(mailbox, lane)
  wake(lane)
end
return { 'ok', unpack(wakes) }
