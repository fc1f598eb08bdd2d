--[[
  Hold places of one partition for claimed families, or say why not: a cluster's second step.

  Why a script: the look and the take must be one step, or two callers both see the
  last seat; and the hold and its event must be one write, or a crash between them loses
  one. The hold is the idempotency record: asking again takes nothing. It is looked for
  first, so every refusal but ENDED and KEY_REUSED means that there is no hold.

  KEYS[1] seq   hash   epoch, seq, stopped; the other keys are in the batch, all of its tag

  ARGV[1] batch   msgpack: see places; an ask goes on with claim_good_until_ms, has_ended

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
-- @include "answers"
local batch = cmsgpack.unpack(ARGV[1])
local partitions, slots, asks = batch[1], batch[2], batch[3]
local at_ms = clock_ms()
local results, held = {}, {}

-- Look.
local function look_at(ask)
  local known, seats, pay_by_ms, state = look_at_hold(ask, ask[7])
  if known then return known, seats, pay_by_ms, state end
  if held[ask[1]] then return "CLAIM_TOO_OLD", {}, 0, "" end
  if at_ms > ask[6] then return "CLAIM_TOO_OLD", {}, 0, "" end
  local slot = look_at_slot(slots[ask[5]])
  local code, chosen, deadline_ms, word = look_at_places(ask, slot, look_at_partition(partitions[slot[6]]), at_ms)
  held[ask[1]] = code == "HELD"
  return code, chosen, deadline_ms, word
end

for index, ask in ipairs(asks) do results[index] = {look_at(ask)} end

-- Take.
local silent = take_places(partitions, slots, at_ms)
return answer(results, asks, slots, partitions, silent, at_ms)
