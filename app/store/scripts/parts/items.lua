-- Items as they stand in their mailboxes, as far as scripts make or know them: the same table as in app/core/work.py.
local DELIVER, REPORT, ASK_PRICE = 'message ', 'status ', 'price ' -- of the message whose id follows
local DELIVERED, REPORTED = '^message (%S+)', '^status (%S+)' -- find its id
local HANDOFF, HANDOFF_AGAIN, LOST_HANDOFF = 'handoff', 'handoff again', 'lost handoff'
local POLL, END, END_BY_PLATFORM = 'check', 'ended', 'ended platform'
