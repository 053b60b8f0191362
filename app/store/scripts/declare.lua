-- uses: even_if_full
-- Which lanes there are, and how many drains each may have at once. Those with work are `busy`.
-- ARGV[3]: JSON {lane: limit}  ->  1
local fields, places = {}, {}
local limits = cjson.decode(ARGV[3])
for lane, limit in pairs(limits) do
  fields[#fields + 1], fields[#fields + 2] = lane, limit
  places[#places + 1], places[#places + 2] = P .. 'ready:' .. lane, P .. 'leased:' .. lane
end
redis.call('DEL', P .. 'lanes')
local work = 0
for at = 1, #fields, 1000 do
  local last = math.min(at + 999, #fields)
  redis.call('HSET', P .. 'lanes', unpack(fields, at, last))
  work = work + redis.call('EXISTS', unpack(places, at, last))
end
if work == 0 then return 1 end -- an idle fleet asks no further
for lane in pairs(limits) do
  if redis.call('EXISTS', P .. 'ready:' .. lane, P .. 'leased:' .. lane) > 0 then redis.call('SADD', P .. 'busy', lane) end
end
return 1
