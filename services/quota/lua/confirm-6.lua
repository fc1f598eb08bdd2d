--[[
  Mark a hold as confirmed, because booking said so: no deadline will take it back.

  Why a script: the hold's state, the books and the event change together or not at all.

  KEYS[1] slot      hash    the ledger
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] office    hash    slot_id -> free, for readers
  KEYS[4] hold      hash    what is held, for whom
  KEYS[5] outbox    stream  one entry per decision
  KEYS[6] seq       hash    epoch, seq

  ARGV[1] reservation_id
  ARGV[2] slot_id

  Returns code
     1  CONFIRMED
     0  ALREADY_CONFIRMED
    -1  UNKNOWN_HOLD   never held here, or held for another slot
    -2  UNBALANCED     the books do not add up: nothing is written
    -3  ENDED          its places went back before
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "seats"
local slot, returned, office, hold, outbox, seq = unpack(KEYS)
local slot_id = ARGV[2]

-- Look.
local record = redis.call("HMGET", hold, "state", "seats", "slot_id")
if not record[1] or record[3] ~= slot_id then return -1 end
if record[1] == "confirmed" then return 0 end
if record[1] == "released" then return -3 end
local ledger = read_ledger(slot, returned)
if not ledger or not balanced(ledger) then return -2 end
local count = #split_numbers(record[2])
ledger.held = ledger.held - count
ledger.confirmed = ledger.confirmed + count
if not balanced(ledger) then return -2 end

-- Take.
announce(outbox, seq, {
  "type", "confirmed", "slot_id", slot_id, "at_ms", clock_ms(), "reservation_id", ARGV[1], "seats", record[2],
})
write_ledger(slot, office, slot_id, ledger)
redis.call("HSET", hold, "state", "confirmed")
return 1
