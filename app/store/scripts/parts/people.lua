-- A person may have several addresses. `n:` leads from each of them, also the first one, to their one conversation; `w:` are
-- all that lead to a conversation, `to:` is the one that wrote last. Who has one address has none of these.
local leads -- what `n:` says, as far as this call has read or written it; false: nothing
each_call(function() leads = {} end)

-- -> the conversation, and whether it has several addresses
local function conversation_of(cv)
  local MAX_NAMES = 16 -- of one person, each in place of another
  for _ = 1, MAX_NAMES do
    if leads[cv] == nil then leads[cv] = redis.call('GET', P .. 'n:' .. cv) end
    local to = leads[cv]
    if not to then return cv, false end
    if to == cv then return cv, true end
    cv = to
  end
  return cv, true
end
