-- uses: costs
-- A platform told what it charged for a message: that takes the place of what was booked for the message itself, on the day
-- of that booking. Told again, it changes nothing.  ARGV[3]: JSON {id, nanos}  ->  1, or 0 if the message is forgotten
local a = cjson.decode(ARGV[3])
local key = P .. 'm:' .. a.id
local rec = redis.call('HMGET', key, 'cw', 'cn', 'cd', 'ck', 'pr', 'st', 'cv')
local what, booked, day, keep, reported, status, cv = unpack(rec)
if not (what and day and keep and cv) then return 0 end
if not reported and status == 'failed' and what ~= 'inbound' then booked = 0 end
add_cost(a.id, cv, day, what, a.nanos - tonumber(booked or '0'), keep)
redis.call('HSET', key, 'cn', str(a.nanos), 'pr', '1')
redis.call('HDEL', key, 'ca')
return 1
