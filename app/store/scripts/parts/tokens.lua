-- Names that nobody else has: of owners, drains and dead letters made in this call.
local token
do
  local made = 0

  function token()
    made = made + 1
    return ARGV[2] .. '-' .. made
  end
end
