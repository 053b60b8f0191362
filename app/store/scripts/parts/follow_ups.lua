-- uses: people mailboxes moves entries
-- What follows from a step stands in another mailbox in the same moment, and once, though the step be taken again.
local function follow_up(op)
  local rec = op.rec
  if rec and redis.call('EXISTS', P .. 'm:' .. rec.id) == 1 then return end -- appended by an earlier try
  local named = rec and rec.id or ''
  if op.scope and not redis.call('SET', P .. 'x:' .. op.scope, named, 'NX', 'PX', op.window_ms) then return end
  if rec then
    move(op, (conversation_of(rec.cv)))
    return enter(rec, op.mailbox, op.lane)
  end
  push(op.mailbox, op.lane, op.item)
end
