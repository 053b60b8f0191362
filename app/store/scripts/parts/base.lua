-- What every script begins with: where its keys lie, and the time.
-- KEYS[1] is the prefix with its hash tag, so that all keys lie in one slot; ARGV[1] is the time in ms or '' for Redis's own;
-- ARGV[2] is random (see `tokens`). What a script is asked for stands in its header, from ARGV[3] on.
-- A script or part names the parts that it uses in its first line (`app/store/connection.py` puts them together). It gets no
-- more than it needs, as Redis makes each function of a script anew with each call.
-- No script may fail once it has written: what it wrote would stand alone. So whatever a key or a field holds may be missing
-- (it expired, a server threw it away, somebody deleted it), and everything is worked with what is left. A key of the wrong
-- type counts as missing, too: it is set aside under `damaged:`, where a person may look at it, and counted.
local P = KEYS[1]
local try, kind_of = redis.pcall, type
local redis = {
  call = function(...)
    local answer = try(...)
    if kind_of(answer) ~= 'table' or not answer.err then return answer end
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      local name = string.sub(select(2, ...), #P + 1)
      redis.call('RENAME', P .. name, P .. 'damaged:' .. name)
      redis.pcall('HINCRBY', P .. 'counts', 'damaged:' .. string.match(name, '^[^:]*'), '1')
    end
    return redis.call(...) -- what failed for another reason fails again
  end,
}
local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
-- Numbers travel to Redis as text: it takes longer to write a number of Lua's than to run the command.
local function str(n) return string.format('%.0f', n) end
local NOW = str(now)
