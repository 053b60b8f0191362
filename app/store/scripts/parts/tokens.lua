-- Names that nobody else has: of owners, drains and dead letters made in this call.
local token
do
  local made
  each_call(function() made = 0 end)

  function token()
    made = made + 1
    return SEED .. '-' .. made
  end
end
