-- uses: items
-- The ids of all messages of a dead letter: that of its item, and those that were asked with it (`bursts`).
local function messages_of(item, also)
  local ids = { string.match(item, DELIVERED) }
  for id in string.gmatch(also or '', '%S+') do ids[#ids + 1] = id end
  return ids
end
