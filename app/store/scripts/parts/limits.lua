-- How many heads of a lane may be worked at once: its pace (see `paces`), and no more than its cap. A lane that was never
-- worked has the pace at which every one begins. While its breaker is open, one probe after the other decides: calls that hang
-- since before must not keep it from finding out that the platform is back.
local START_PACE, MAX_PACE = 4, 4096

local function limit_of(pace, cap, opened)
  return math.min(opened and MAX_PACE or tonumber(pace or START_PACE), tonumber(cap or MAX_PACE))
end
