-- uses: kept_dead_letters
-- Keep a webhook that we could not read as a dead letter.  ARGV[3]: JSON {webhook, name, reason, error}  ->  its id
local a = cjson.decode(ARGV[3])
return keep_dead_letter(a.name, #a.webhook, 'webhook', a.webhook, 'reason', a.reason, 'error', a.error)
