-- A slot's ledger. Seats 1..next_seat-1 have been given out at least once; those unused now
-- lie in `returned` (may be offered) or `withheld` (the plan shrank below them). Seats
-- next_seat..capacity are fresh. So: free = returned + fresh, and
-- capacity = free + held + confirmed + withheld.

local BOOKS = {"planned", "capacity", "free", "held", "confirmed", "withheld", "returned", "next_seat"}

-- The ledger as a table, or nil for a slot that was never loaded.
local function read_ledger(slot, returned)
  local row = redis.call("HMGET", slot, unpack(BOOKS))
  if not row[1] then return nil end
  local ledger = {seats_returned = redis.call("ZCARD", returned)}
  for index, name in ipairs(BOOKS) do ledger[name] = tonumber(row[index]) end
  return ledger
end

-- Whether the books add up, before a write or after it has been worked out.
local function balanced(ledger)
  local fresh = ledger.capacity - ledger.next_seat + 1
  return ledger.capacity == ledger.free + ledger.held + ledger.confirmed + ledger.withheld
    and fresh >= 0 and ledger.held >= 0 and ledger.confirmed >= 0 and ledger.withheld >= 0
    and ledger.returned >= 0 and ledger.free == ledger.returned + fresh
end

-- The same, and as many returned seats are there as are written down.
local function sound(ledger) return balanced(ledger) and ledger.returned == ledger.seats_returned end

-- What follows from the plan, the seats in use and the seats once given out.
local function recount(ledger)
  local given, in_use = ledger.next_seat - 1, ledger.held + ledger.confirmed
  ledger.capacity = math.max(ledger.planned, given)
  ledger.free = math.max(0, ledger.planned - in_use)
  ledger.returned = ledger.free - (ledger.capacity - given)
  ledger.withheld = given - in_use - ledger.returned
end

local function write_ledger(slot, office, slot_id, ledger)
  redis.call(
    "HSET", slot, "planned", ledger.planned, "capacity", ledger.capacity, "free", ledger.free, "held", ledger.held,
    "confirmed", ledger.confirmed, "withheld", ledger.withheld, "returned", ledger.returned,
    "next_seat", ledger.next_seat
  )
  redis.call("HSET", office, slot_id, ledger.free)
end
