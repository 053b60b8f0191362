-- A head whose claim ended without a result is a suspect: it may be what killed its worker, or was only in the same hands. So
-- it is tried where nothing else is in hand, and what counts against it are the tries in which it was alone (`alone`). Any
-- result clears it. Until a worker can be alone with it (`solitude` of `work`), it is set aside, and nobody waits for it.
local POISON_TRIES = 3 -- alone, without a result
local begin_alone, is_poison, set_aside, hand_to
do
  local SET_ASIDE_MS = 1000

  -- A try of a suspect counts from here on, not when it is handed out: its worker may die of something else before.
  function begin_alone(mailbox)
    redis.call('HINCRBY', P .. 'b:' .. mailbox, 'claims', '1')
    redis.call('HINCRBY', P .. 'b:' .. mailbox, 'alone', '1')
  end

  function is_poison(alone) return tonumber(alone or '0') >= POISON_TRIES end

  -- ->  until when the head, which had so many `claims` without a result, is to wait (ms), or nil: it may be tried now
  function set_aside(claims, solitude)
    return claims and solitude == 'impossible' and now + SET_ASIDE_MS or nil
  end

  -- ->  claims without a result from now on, and '1' if the head is a suspect whose try has yet to begin
  function hand_to(mailbox, claims, solitude)
    if claims and solitude == 'possible' then return claims, '1' end
    if solitude == 'kept' then redis.call('HINCRBY', P .. 'b:' .. mailbox, 'alone', '1') end
    return 1 + (claims or 0)
  end
end
