-- Keep a webhook that we could not read as a dead letter.  ARGV[3]: JSON {webhook, name, reason, error}  ->  its id
local a = cjson.decode(ARGV[3])
local id = token()
redis.call('HSET', P .. 'd:' .. id, 'webhook', a.webhook, 'lane', a.name, 'reason', a.reason, 'error', a.error,
  'at', NOW, 'bytes', #a.webhook)
keep_letter(id, a.name, #a.webhook)
return id
