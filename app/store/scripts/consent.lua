-- uses: consents
-- An operator states what a customer wants.  ARGV[3]: JSON {cv, state, by}
local a = cjson.decode(ARGV[3])
consent(a.cv, a.state, a.by)
return 1
