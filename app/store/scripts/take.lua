-- Take from several buckets at once, from all of them or from none. A bucket holds a minute's worth and fills steadily; it is
-- kept as the moment at which it will be full again (GCRA, the leaky bucket as a meter), and forgotten then.
-- ARGV[3]: JSON {buckets: {{name, a_minute, cost, counted (what counts those who got none, or '')}, ...}}
-- ->  {0}, or {number of the bucket that holds too little, ms until it holds enough}
local a = cjson.decode(ARGV[3])
local MINUTE_MS = 60000
local full_at = {}
local short, wait = 0, 0
for n, bucket in ipairs(a.buckets) do
  local full = tonumber(redis.call('GET', P .. 'l:' .. bucket.name) or '0') or 0
  full = math.min(math.max(full, now), now + MINUTE_MS) -- further ahead it is of a clock that was set back
  full_at[n] = full + math.min(bucket.cost, bucket.a_minute) * MINUTE_MS / bucket.a_minute
  local missing = full_at[n] - now - MINUTE_MS
  if missing > wait then short, wait = n, missing end
end
if short > 0 then
  local counted = a.buckets[short].counted
  if counted ~= '' then redis.call('HINCRBY', P .. 'counts', counted, '1') end
  return { short, math.ceil(wait) }
end
for n, bucket in ipairs(a.buckets) do
  redis.call('SET', P .. 'l:' .. bucket.name, string.format('%.3f', full_at[n]), 'PX', math.ceil(full_at[n] - now))
end
return { 0 }
