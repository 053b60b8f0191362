-- uses: even_if_full
-- Which lanes there are, and how many drains each may have at once, where that is capped. Those with work are `busy`.
-- ARGV[3]: JSON {lane: cap, 0 = none}  ->  1
-- Versions that know no pace go by what `lanes` says, and were careful where nothing was said; told apart from a cap of 4.
local UNCAPPED = '4.0'
local fields, places, known = {}, {}, {}
local earlier = redis.call('HGETALL', P .. 'lanes')
for n = 1, #earlier, 2 do known[earlier[n]] = earlier[n + 1] end
local function places_of(lane) return P .. 'ready:' .. lane, P .. 'leased:' .. lane, P .. 'bulk:' .. lane end
local caps = cjson.decode(ARGV[3])
for lane, cap in pairs(caps) do
  fields[#fields + 1], fields[#fields + 2] = lane, cap > 0 and str(cap) or UNCAPPED
  places[#places + 1], places[#places + 2], places[#places + 3] = places_of(lane)
  if cap > 0 then
    redis.call('HSET', P .. 'lane:' .. lane, 'cap', str(cap))
  elseif known[lane] ~= UNCAPPED then
    redis.call('HDEL', P .. 'lane:' .. lane, 'cap')
  end
end
redis.call('DEL', P .. 'lanes')
local work = 0
for at = 1, #fields, 1000 do
  local last = math.min(at + 999, #fields)
  redis.call('HSET', P .. 'lanes', unpack(fields, at, last))
end
for at = 1, #places, 1000 do work = work + redis.call('EXISTS', unpack(places, at, math.min(at + 999, #places))) end
if work == 0 then return 1 end -- an idle fleet asks no further
for lane in pairs(caps) do
  if redis.call('EXISTS', places_of(lane)) > 0 then redis.call('SADD', P .. 'busy', lane) end
end
return 1
