-- uses: even_if_full sessions threads later_polls suspects
-- Keep what an adapter has achieved in the middle of a piece of work, so that a crash neither repeats nor skips a step.
-- Only the holder of the lease may write; the lease is renewed.
-- ARGV[3]: JSON {mailbox, owner, aliases, cv, keep, lease_ms, progress, asked, session, thread, poll_ms, alone}
--   progress is of this piece of work alone, as are the messages that are asked as one (`bursts`); session {version, fields,
--   keep} outlives it, as do thread {name, seen, keep} and when to poll it again; `alone`: it is tried alone
--   from now on
-- ->  1, or 0 if the lease is lost
local a = cjson.decode(ARGV[3])
local box = P .. 'b:' .. a.mailbox
local owner, lane = unpack(redis.call('HMGET', box, 'owner', 'lane'))
if owner ~= a.owner or not lane then return 0 end
if a.alone then begin_alone(a.mailbox) end
if a.progress then redis.call('HSET', box, 'progress', a.progress) end
if a.asked then redis.call('HSET', box, 'asked', a.asked) end
if a.session then write_session(a.cv, a.session) end
if a.thread then saw(a.thread.name, a.thread.seen, a.thread.keep) end
if a.poll_ms then poll_later(a.cv, a.poll_ms) end
for _, alias in ipairs(a.aliases) do redis.call('SET', P .. 'a:' .. alias, a.cv, 'EX', a.keep) end
redis.call('ZADD', P .. 'leased:' .. lane, now + a.lease_ms, a.mailbox)
return 1
