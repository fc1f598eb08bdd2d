--[[
  Hold places of one partition for claimed families, or say why not: a cluster's second step.

  Why a script: the look and the take must be one step, or two callers both see the
  last seat; and the hold and its event must be one write, or a crash between them loses
  one. The hold is the idempotency record: asking again takes nothing. It is looked for
  first, so every refusal but ENDED and KEY_REUSED means that there is no hold.

  KEYS[1] position  string  of the last decision; the other keys are in the batch, all of its tag

  ARGV[1] batch   msgpack: see places; an ask's own two are claim_good_until_ms and has_ended

  Returns msgpack {results, sold_out, at_ms} as `decide` does
      1  HELD
      0  ALREADY_HELD
     -1  UNKNOWN_SLOT
     -2  KEY_REUSED          the same reservation was asked for with another body
     -3  ENDED               it was held, and its places went back
     -4  CHANNEL_NOT_PUBLIC  such places are given out by officers
     -5  SLOT_CLOSED
     -6  WINDOW_NOT_OPEN     number is opens_at_ms
     -7  WINDOW_CLOSED
     -8  SOLD_OUT            number is how many are free
     -9  CLAIM_TOO_OLD       the sweep may have taken the claim back by now, or the batch has it twice: ask again
    -10  STOPPED             the partition sells nothing until it is rebuilt
    -11  UNBALANCED          the books do not add up: nothing is written
    -15  BROKEN              a key is not what it should be: word says which
]]
-- @include "clock"
-- @include "places"
local held = {}

-- Look.
local function look_at(at, text_at)
  local reservation_id = asks[at + 1]
  local known, seats, pay_by_ms, state = look_at_hold(at, text_at, asks[at + 7])
  if known then return known, seats, pay_by_ms, state end
  if held[reservation_id] or at_ms > asks[at + 6] then return CODE.CLAIM_TOO_OLD, NO_SEATS, 0, "" end
  local code, chosen, deadline_ms, word = look_at_places(at)
  held[reservation_id] = code == CODE.HELD
  return code, chosen, deadline_ms, word
end

look_at_texts()
local results = look_at_all(look_at)

-- Take.
take_places()
return answer(results)
