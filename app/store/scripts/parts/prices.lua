-- uses: mailboxes items
-- The platform is asked what it charged for a message, in a mailbox of the message's own, unless that waits already.
local function ask_price(id, cv)
  local mailbox = cv .. '|price-' .. id
  if redis.call('LLEN', P .. 'q:' .. mailbox) == 0 then
    push(mailbox, 'status:' .. string.match(cv, '^[^/]*'), ASK_PRICE .. id)
  end
end
