-- Which lanes there are, and how many drains each may have at once. Those with work are `busy`.  ARGV[3]: JSON {lane: limit}  ->  1
even_if_full()
local fields = {}
for lane, limit in pairs(cjson.decode(ARGV[3])) do
  fields[#fields + 1] = lane
  fields[#fields + 1] = limit
  if redis.call('EXISTS', P .. 'ready:' .. lane, P .. 'leased:' .. lane) > 0 then redis.call('SADD', P .. 'busy', lane) end
end
redis.call('DEL', P .. 'lanes')
for at = 1, #fields, 1000 do redis.call('HSET', P .. 'lanes', unpack(fields, at, math.min(at + 999, #fields))) end
return 1
