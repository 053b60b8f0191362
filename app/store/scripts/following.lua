-- uses: items
-- What stands directly behind the head that is worked, as far as it is messages.
-- ARGV[3]: JSON {mailbox, most}  ->  {how many items there are behind the head, their messages' bodies...}
local a = cjson.decode(ARGV[3])
local queue = P .. 'q:' .. a.mailbox
local said = { math.max(0, redis.call('LLEN', queue) - 1) }
for _, item in ipairs(redis.call('LRANGE', queue, '1', str(a.most))) do
  local id = string.match(item, DELIVERED)
  local body = id and redis.call('HGET', P .. 'm:' .. id, 'body')
  if not body then break end
  said[#said + 1] = body
end
return said
