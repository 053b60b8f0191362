-- uses: lanes threads gaps polls
-- A thread's platform speaks of it without a message for the customer: a message stands there that needs nothing (it has an
-- index), or something changed that only a poll tells.  A gap in the numbers asks for one, too.
-- ARGV[3]: JSON {name, index, cv, lane, keep}  ->  {wakes...}
local a = cjson.decode(ARGV[3])
if a.index and not leaves_gap(a.name, a.index) then
  saw(a.name, a.index, a.keep)
else
  poll(a.cv, a.lane)
end
return wakes
