-- A message becomes one of another conversation: its customer wrote, or is named, under another address.

local move
do
  -- Where the customer's address stands in a message's body, with its quotes; what others may choose stands behind it.
  local function find_customer(body)
    local _, key = string.find(body, '"customer":"', 1, true)
    local at = key and key + 1
    while at do
      at = string.find(body, '["\\]', at)
      if at and string.sub(body, at, at) == '"' then return key, at end
      at = at and at + 2
    end
  end

  -- Let an entry {rec, mailbox} be of the conversation `cv`.
  function move(entry, cv)
    local rec = entry.rec
    if rec.cv == cv then return end
    local first, last = find_customer(rec.body)
    local address = cjson.encode(string.match(cv, '^[^/]*/(.*)$'))
    if first then rec.body = string.sub(rec.body, 1, first - 1) .. address .. string.sub(rec.body, last + 1) end
    entry.mailbox = cv .. string.match(entry.mailbox, '|[^|]*$')
    rec.cv = cv
  end
end
