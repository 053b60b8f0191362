-- Which lanes there are, and how many drains each may have at once.  ARGV[3]: JSON {lane: limit}  ->  1
even_if_full()
redis.call('DEL', P .. 'lanes')
for lane, limit in pairs(cjson.decode(ARGV[3])) do redis.call('HSET', P .. 'lanes', lane, limit) end
return 1
