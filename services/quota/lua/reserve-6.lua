--[[
  Hold places of one slot for a family, by number, or say why not.

  Why a script: the look and the take must be one step, or two callers both see the
  last seat; and the hold and its event must be one write, or a crash between them loses
  one. The hold is the idempotency record: asking again takes nothing. It is looked for
  first, so every refusal but ENDED and KEY_REUSED means that there is no hold.

  KEYS[1] slot      hash    the ledger and the window
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] hold      hash    what is held, for whom
  KEYS[4] office    hash    slot_id -> free, for readers
  KEYS[5] outbox    stream  one entry per decision
  KEYS[6] seq       hash    epoch, seq, stopped

  ARGV[1] reservation_id
  ARGV[2] slot_id
  ARGV[3] account_id
  ARGV[4] fingerprint    of slot and persons
  ARGV[5] person_ids     joined by commas
  ARGV[6] count          of persons, 1..5 (checked by the caller)
  ARGV[7] claim_good_until_ms  later than this the sweep may have taken the claim back

  Returns {code, seats, number, state}
      1  HELD                number is pay_by_ms
      0  ALREADY_HELD        number is pay_by_ms; state may be confirmed by now
     -1  UNKNOWN_SLOT
     -2  KEY_REUSED          the same reservation was asked for with another body
     -3  ENDED               it was held, and its places went back
     -4  CHANNEL_NOT_PUBLIC  such places are given out by officers
     -5  SLOT_CLOSED
     -6  WINDOW_NOT_OPEN     number is opens_at_ms
     -7  WINDOW_CLOSED
     -8  SOLD_OUT            number is how many are free
     -9  CLAIM_TOO_OLD       ask again
    -10  STOPPED             the partition sells nothing until it is rebuilt
    -11  UNBALANCED          the books do not add up: nothing is written
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "seats"
local slot, returned, hold, office, outbox, seq = unpack(KEYS)
local reservation_id, slot_id, count = ARGV[1], ARGV[2], tonumber(ARGV[6])

-- Look.
local record = redis.call("HMGET", hold, "fingerprint", "seats", "pay_by_ms", "state")
if record[1] then
  if record[1] ~= ARGV[4] then return {-2, "", 0, ""} end
  if record[4] == "released" then return {-3, "", 0, ""} end
  return {0, record[2], tonumber(record[3]), record[4]}
end
if redis.call("HGET", seq, "stopped") then return {-10, "", 0, ""} end
local plan = redis.call("HMGET", slot, "channel", "closed", "opens_at_ms", "closes_at_ms", "pay_seconds")
if not plan[1] then return {-1, "", 0, ""} end
if plan[1] ~= "online" then return {-4, "", 0, ""} end
if plan[2] == "1" then return {-5, "", 0, ""} end
local at_ms = clock_ms()
if at_ms < tonumber(plan[3]) then return {-6, "", tonumber(plan[3]), ""} end
if at_ms >= tonumber(plan[4]) then return {-7, "", 0, ""} end
if at_ms > tonumber(ARGV[7]) then return {-9, "", 0, ""} end
local ledger = read_ledger(slot, returned)
if not balanced(ledger) then return {-11, "", 0, ""} end
local seats = ledger.free >= count and choose_seats(returned, ledger, count, at_ms)
if not seats then return {-8, "", ledger.free, ""} end
local fresh_from = ledger.next_seat
ledger.next_seat = math.max(ledger.next_seat, seats[count] + 1)
ledger.returned = ledger.returned - (count - (ledger.next_seat - fresh_from))
ledger.free = ledger.free - count
ledger.held = ledger.held + count
if not balanced(ledger) then return {-11, "", 0, ""} end

-- Take.
local numbers = table.concat(seats, ",")
local pay_by_ms = at_ms + plan[5] * 1000
announce(outbox, seq, {
  "type", "held", "slot_id", slot_id, "at_ms", at_ms, "reservation_id", reservation_id, "account_id", ARGV[3],
  "person_ids", ARGV[5], "seats", numbers, "pay_by_ms", pay_by_ms,
})
for _, seat in ipairs(seats) do
  if seat < fresh_from then redis.call("ZREM", returned, seat) end
end
write_ledger(slot, office, slot_id, ledger)
redis.call(
  "HSET", hold, "slot_id", slot_id, "account_id", ARGV[3], "person_ids", ARGV[5], "seats", numbers,
  "fingerprint", ARGV[4], "pay_by_ms", pay_by_ms, "state", "held"
)
return {1, numbers, pay_by_ms, "held"}
