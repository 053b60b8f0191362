-- uses: consents
-- An operator or a platform states what a customer wants.  ARGV[3]: JSON {cv, state, by, keep = seconds (optional)}
local a = cjson.decode(ARGV[3])
consent(a.cv, a.state, a.by, a.keep)
return 1
