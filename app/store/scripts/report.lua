-- uses: lanes statuses
-- Apply one status report. `ref` is our id of a message, or the platform's own. A report about an id that we do not know
-- yet has overtaken its receipt: it waits and is applied when the receipt is settled.
-- ARGV[3]: JSON {ref, scope, direction, owner, status, error, wait}
--   a platform may speak only of messages of that direction, and of the conversation `owner`; one that ends in '/' stands
--   for all conversations of a channel, '' for all
-- ->  {'climbed' | 'unchanged' | 'early' | 'foreign', wakes...}
local EARLY_S = 3600 -- how long a report may overtake its receipt
local MAX_EARLY = 20
local a = cjson.decode(ARGV[3])
local id = a.ref
if redis.call('EXISTS', P .. 'm:' .. id) == 0 then
  id = redis.call('GET', P .. 'x:' .. a.scope)
  if not id and not a.wait then return { 'foreign' } end
  if not id then
    local early = P .. 'early:' .. a.scope
    redis.call('RPUSH', early, a.status .. ' ' .. a.error)
    redis.call('LTRIM', early, -MAX_EARLY, -1)
    redis.call('EXPIRE', early, EARLY_S)
    return { 'early' }
  end
end
local rec = redis.call('HMGET', P .. 'm:' .. id, 'cv', 'dr')
if not rec[1] then return { 'unchanged' } end
local theirs = a.owner == '' or rec[1] == a.owner
  or (string.sub(a.owner, -1) == '/' and string.sub(rec[1], 1, #a.owner) == a.owner)
if rec[2] ~= a.direction or not theirs then return { 'foreign' } end
local changed = climb(id, a.status, a.error, a.scope)
return { changed and 'climbed' or 'unchanged', unpack(wakes) }
