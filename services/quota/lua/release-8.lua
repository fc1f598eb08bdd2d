--[[
  Give the places of a hold back, because booking said so.

  Why a script: the hold's state, the books and the event change together or not at all.
  The places are free at once in the books, and are offered again at a moment that the
  caller has drawn: one for the whole family. A second delivery brings another draw, which
  changes nothing.
  A released hold stays as a tombstone, so that its id can never be held again. Where the
  plan has shrunk below the seats in use, seats that come back are withheld instead.
  Whoever moves elsewhere gives back only what was confirmed: a hold that never came so far
  has numbers that are another's.

  KEYS[1] books     string  what the slot has
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] withheld  zset    seats the plan has no room for, by when
  KEYS[4] returning zset    slots with places that wait, by when the last may be offered
  KEYS[5] hold      string  what is held, for whom
  KEYS[6] outbox    stream  decisions
  KEYS[7] position  string  of the last decision
  KEYS[8] stopped   string  why nothing may be decided

  ARGV[1] reservation_id
  ARGV[2] slot_id
  ARGV[3] reason    such as expired
  ARGV[4] after_ms  offered no earlier than so long after now
  ARGV[5] from_ms   and no earlier than this moment
  ARGV[6] confirmed_only  1 to leave a hold alone that is not confirmed, else 0

  Returns code
     1  RELEASED
     0  ALREADY_RELEASED
    -1  UNKNOWN_HOLD   never held here, or held for another slot
    -2  UNBALANCED     the books do not add up: nothing is written
    -3  STOPPED        the partition waits for its rebuild: booking has to say it again
    -4  NOT_CONFIRMED  its numbers are another's: it is left alone until a rebuild
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "seats"
-- @include "holds"
local books, returned, withheld, returning, hold_key, outbox, position, stopped = unpack(KEYS)
local slot_id = ARGV[2]

-- Look.
if redis.call("EXISTS", stopped) == 1 then return -3 end
local hold = read_hold(hold_key)
if not hold or hold.slot_id ~= slot_id then return -1 end
if hold.state == RELEASED then return 0 end
if ARGV[6] == "1" and hold.state ~= CONFIRMED then return -4 end
local ledger = read_ledger(books, returned)
if not ledger or not sound(ledger) then return -2 end
local seats = hold.seats
local returned_before, withheld_before = ledger.returned, ledger.withheld
ledger[hold.state] = ledger[hold.state] - #seats
recount(ledger)
if not balanced(ledger) then return -2 end
local at_ms = clock_ms()
local offer_at_ms = math.max(at_ms + tonumber(ARGV[4]), tonumber(ARGV[5]))
local unused = nil
if withheld_before + ledger.withheld > 0 then
  unused = unused_seats(returned, withheld, seats, offer_at_ms)
  if #unused ~= ledger.returned + ledger.withheld then return -2 end
elseif ledger.returned ~= returned_before + #seats then
  return -2
end

-- Take.
announce(outbox, position, {
  "type", "released", "slot_id", slot_id, "at_ms", at_ms, "reservation_id", ARGV[1], "seats", table.concat(seats, ","),
  "reason", ARGV[3],
})
if unused then
  share_out(returned, withheld, unused, ledger.returned)
else
  for _, seat in ipairs(seats) do redis.call("ZADD", returned, offer_at_ms, seat) end
end
redis.call("ZREMRANGEBYSCORE", returning, "-inf", at_ms)
if offer_at_ms > at_ms then redis.call("ZADD", returning, "GT", offer_at_ms, slot_id) end
write_ledger(books, ledger)
hold.state = RELEASED
write_hold(hold_key, hold)
return 1
