--[[
  Give the places of a hold back, because booking said so.

  Why a script: the hold's state, the books and the event change together or not at all.
  A released hold stays as a tombstone, so that its id can never be held again. Where the
  plan has shrunk below the seats in use, seats that come back are withheld instead.

  KEYS[1] slot      hash    the ledger
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] withheld  zset    seats the plan has no room for, by when
  KEYS[4] office    hash    slot_id -> free, for readers
  KEYS[5] hold      hash    what is held, for whom
  KEYS[6] outbox    stream  one entry per decision
  KEYS[7] seq       hash    epoch, seq

  ARGV[1] reservation_id
  ARGV[2] slot_id
  ARGV[3] reason    such as expired

  Returns code
     1  RELEASED
     0  ALREADY_RELEASED
    -1  UNKNOWN_HOLD   never held here, or held for another slot
    -2  UNBALANCED     the books do not add up: nothing is written
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "seats"
local slot, returned, withheld, office, hold, outbox, seq = unpack(KEYS)
local slot_id = ARGV[2]

-- Look.
local record = redis.call("HMGET", hold, "state", "seats", "slot_id")
local state = record[1]
if not state or record[3] ~= slot_id then return -1 end
if state == "released" then return 0 end
local ledger = read_ledger(slot, returned)
if not ledger or not balanced(ledger) then return -2 end
local seats = split_numbers(record[2])
local returned_before, withheld_before = ledger.returned, ledger.withheld
ledger[state] = ledger[state] - #seats
recount(ledger)
if not balanced(ledger) then return -2 end
local at_ms = clock_ms()
local unused = nil
if withheld_before + ledger.withheld > 0 then
  unused = unused_seats(returned, withheld, seats, at_ms)
  if #unused ~= ledger.returned + ledger.withheld then return -2 end
elseif ledger.returned ~= returned_before + #seats then
  return -2
end

-- Take.
announce(outbox, seq, {
  "type", "released", "slot_id", slot_id, "at_ms", at_ms, "reservation_id", ARGV[1], "seats", record[2],
  "reason", ARGV[3],
})
if unused then
  share_out(returned, withheld, unused, ledger.returned)
else
  for _, seat in ipairs(seats) do redis.call("ZADD", returned, at_ms, seat) end
end
write_ledger(slot, office, slot_id, ledger)
redis.call("HSET", hold, "state", "released")
return 1
