-- What every script begins with: where its keys lie, and the time.
-- KEYS[1] is the prefix with its hash tag, so that all keys lie in one slot; ARGV[1] is the time in ms or '' for Redis's own;
-- ARGV[2] is random (see `tokens`). What a script is asked for stands in its header, from ARGV[3] on.
-- A script or part names the parts that it uses in its first line, and what it keeps for one call it makes in `each_call`:
-- `app/store/scripting.py` puts them together, as functions that a server keeps, or as a script for one that does not know
-- those. A script gets no more than it needs, as all of it is made anew with each call.
-- No script may fail once it has written: what it wrote would stand alone. So whatever a key or a field holds may be missing
-- (it expired, a server threw it away, somebody deleted it), and everything is worked with what is left. A key of the wrong
-- type counts as missing, too: it is set aside under `damaged:`, where a person may look at it, and counted.
local P, SEED, now, NOW
local ask, type_of -- what is Redis's own is there only while a script runs, and takes a while to look up
local function look_up() ask, type_of = redis.pcall, type end
local redis = {
  call = function(...)
    local answer = ask(...)
    if type_of(answer) ~= 'table' or not answer.err then return answer end
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      local name = string.sub(select(2, ...), #P + 1)
      redis.call('RENAME', P .. name, P .. 'damaged:' .. name)
      redis.pcall('HINCRBY', P .. 'counts', 'damaged:' .. string.match(name, '^[^:]*'), '1')
    end
    return redis.call(...) -- what failed for another reason fails again
  end,
}
-- Numbers travel to Redis as text: some versions take longer to write a number of Lua's than to run the command. `%d` would
-- be quicker, but holds no time in ms where a long has 32 bits.
local function str(n) return string.format('%.0f', n) end
local function begin(keys, args)
  look_up()
  redis.pcall, P, SEED = ask, keys[1], args[2]
  if args[1] ~= '' then
    now = tonumber(args[1])
  else
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  NOW = str(now)
end
