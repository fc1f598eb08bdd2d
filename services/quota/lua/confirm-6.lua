--[[
  Mark a hold as confirmed, because booking said so: no deadline will take it back.

  Why a script: the hold's state, the books and the event change together or not at all.

  KEYS[1] books     string  what the slot has
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] hold      string  what is held, for whom
  KEYS[4] outbox    stream  decisions
  KEYS[5] position  string  of the last decision
  KEYS[6] stopped   string  why nothing may be decided

  ARGV[1] reservation_id
  ARGV[2] slot_id

  Returns code
     1  CONFIRMED
     0  ALREADY_CONFIRMED
    -1  UNKNOWN_HOLD   never held here, or held for another slot
    -2  UNBALANCED     the books do not add up: nothing is written
    -3  ENDED          its places went back before
    -4  STOPPED        the partition waits for its rebuild: booking has to say it again
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "holds"
local books, returned, hold_key, outbox, position, stopped = unpack(KEYS)
local slot_id = ARGV[2]

-- Look.
if redis.call("EXISTS", stopped) == 1 then return -4 end
local hold = read_hold(hold_key)
if not hold or hold.slot_id ~= slot_id then return -1 end
if hold.state == CONFIRMED then return 0 end
if hold.state == RELEASED then return -3 end
local ledger = read_ledger(books, returned)
if not ledger or not sound(ledger) then return -2 end
local count = #hold.seats
ledger.held = ledger.held - count
ledger.confirmed = ledger.confirmed + count
if not balanced(ledger) then return -2 end

-- Take.
announce(outbox, position, {
  "type", "confirmed", "slot_id", slot_id, "at_ms", clock_ms(), "reservation_id", ARGV[1], "seats", table.concat(hold.seats, ","),
})
write_ledger(books, ledger)
hold.state = CONFIRMED
write_hold(hold_key, hold)
return 1
