-- A chat's platform speaks of it without a message for the customer: a message stands there that needs nothing (it has an
-- index), or something changed that only a look tells.  A gap in the numbers asks for a look, too.
-- ARGV[3]: JSON {name, index, cv, lane, keep}  ->  {wakes...}
local a = cjson.decode(ARGV[3])
if a.index and not leaves_gap(a.name, a.index) then
  saw(a.name, a.index, a.keep)
else
  check(a.cv, a.lane)
end
return wakes
