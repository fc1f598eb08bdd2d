-- A slot's ledger and the terms it sells on. Seats 1..next_seat-1 have been given out at least
-- once; those unused now lie in `returned` (may be offered) or `withheld` (the plan shrank below
-- them). Seats next_seat..capacity are fresh. So: free = returned + fresh, and
-- capacity = free + held + confirmed + withheld.
-- One msgpack array per slot, a text of its own: a decision reads and writes it along with holds and claims.

local BOOKS = {
  "planned", "capacity", "free", "held", "confirmed", "withheld", "returned", "next_seat",
  "channel", "closed", "opens_at_ms", "closes_at_ms", "pay_seconds",
}

-- Where in that array: for decisions, which leave it an array.
local AT_CAPACITY, AT_FREE, AT_HELD, AT_CONFIRMED, AT_WITHHELD, AT_RETURNED, AT_NEXT_SEAT = 2, 3, 4, 5, 6, 7, 8
local AT_CHANNEL, AT_CLOSED, AT_OPENS_AT_MS, AT_CLOSES_AT_MS, AT_PAY_SECONDS = 9, 10, 11, 12, 13

-- How the array begins in msgpack.
local BOOKS_HEAD = 0x90 + #BOOKS

local function whole_books(fine, _, ...)
  if fine and select("#", ...) == #BOOKS then return {...} end
  return nil
end

-- The array, nil when the text is none. Made at once: value by value it would be moved four times while it grows.
local function books_in(text)
  if string.byte(text) ~= BOOKS_HEAD then return nil end
  return whole_books(pcall(cmsgpack.unpack_limit, text, #BOOKS, 1))
end

-- The ledger as a table, or nil for a slot that was never loaded.
local function read_ledger(key, returned)
  local text = redis.call("GET", key)
  if not text then return nil end
  local books = books_in(text)
  if not books then error("no books can be read from " .. key) end
  local ledger = {seats_returned = redis.call("ZCARD", returned)}
  for index, name in ipairs(BOOKS) do ledger[name] = books[index] end
  return ledger
end

-- Whether the books add up, before a write or after it has been worked out.
local function adds_up(capacity, free, held, confirmed, withheld, returned, next_seat)
  local fresh = capacity - next_seat + 1
  return capacity == free + held + confirmed + withheld and free == returned + fresh
    and fresh >= 0 and held >= 0 and confirmed >= 0 and withheld >= 0 and returned >= 0
end

local function balanced(ledger)
  return adds_up(
    ledger.capacity, ledger.free, ledger.held, ledger.confirmed, ledger.withheld, ledger.returned, ledger.next_seat
  )
end

-- The same of the array.
local function balanced_books(books)
  return adds_up(
    books[AT_CAPACITY], books[AT_FREE], books[AT_HELD], books[AT_CONFIRMED], books[AT_WITHHELD], books[AT_RETURNED],
    books[AT_NEXT_SEAT]
  )
end

-- Balanced, and as many returned seats are there as are written down.
local function sound(ledger) return balanced(ledger) and ledger.returned == ledger.seats_returned end

-- What follows from the plan, the seats in use and the seats once given out.
local function recount(ledger)
  local given, in_use = ledger.next_seat - 1, ledger.held + ledger.confirmed
  ledger.capacity = math.max(ledger.planned, given)
  ledger.free = math.max(0, ledger.planned - in_use)
  ledger.returned = ledger.free - (ledger.capacity - given)
  ledger.withheld = given - in_use - ledger.returned
end

local function write_ledger(key, ledger)
  redis.call("SET", key, cmsgpack.pack({
    ledger.planned, ledger.capacity, ledger.free, ledger.held, ledger.confirmed, ledger.withheld, ledger.returned,
    ledger.next_seat, ledger.channel, ledger.closed, ledger.opens_at_ms, ledger.closes_at_ms, ledger.pay_seconds,
  }))
end
