-- Which lanes there are, and how many drains each may have at once. Those with work are `busy`.  ARGV[3]: JSON {lane: limit}  ->  1
even_if_full()
redis.call('DEL', P .. 'lanes')
for lane, limit in pairs(cjson.decode(ARGV[3])) do
  redis.call('HSET', P .. 'lanes', lane, limit)
  if redis.call('EXISTS', P .. 'ready:' .. lane, P .. 'leased:' .. lane) > 0 then redis.call('SADD', P .. 'busy', lane) end
end
return 1
