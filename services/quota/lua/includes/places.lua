-- @include "ledger"
-- @include "holds"
-- @include "position"
-- Places of many slots for many families in one call: all is looked at before anything is
-- written, what is read once is kept, and a write is made once for all who share it. A key
-- that is not what it should be spoils the asks that need it and no other.
--
-- The batch is msgpack: {partitions, slots, asks}, each flat, because a table costs more than a number:
--   partitions  position key, stopped key, outbox key
--   slots       slot_id, books key, returned key, takers key, number of its partition
--   asks        reservation_id, body, count of persons, hold key, number of its slot, and two of the script's own
-- A body is the middle of a hold: msgpack of slot_id, account_id and person_ids, one after the other.
local PARTITION_WIDTH, SLOT_WIDTH, ASK_WIDTH = 3, 5, 7
-- How a hold begins: an array of eight, of which the state is the first.
local HELD_HOLD = "\152\164held"
local NO_SEATS = {}

local CODE = {
  HELD = 1, ALREADY_HELD = 0, UNKNOWN_SLOT = -1, KEY_REUSED = -2, ENDED = -3, CHANNEL_NOT_PUBLIC = -4,
  SLOT_CLOSED = -5, WINDOW_NOT_OPEN = -6, WINDOW_CLOSED = -7, SOLD_OUT = -8, CLAIM_TOO_OLD = -9, STOPPED = -10,
  UNBALANCED = -11, ACCOUNT_ALREADY_RESERVED = -12, PERSON_ALREADY_RESERVED = -13, NO_SHOW_BLOCK = -14, BROKEN = -15,
}
-- For as long as this a worker may refuse by itself: a place that comes back sooner is sold later.
local GATE_MS = 1000

local batch = cmsgpack.unpack(ARGV[1])
local partition_rows, slot_rows, asks = batch[1], batch[2], batch[3]
local partitions, slots, granted = {}, {}, {}
local at_ms = clock_ms()

local function look(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return nil, reply.err end
  return reply
end

-- What lies under keys: of each its text, or false. All are read in one call, whose cost is mostly that it is one.
local texts = {}

-- Everything about partitions and slots of the batch, and of each row of it what `of_ask` adds. MGET finds nothing
-- where there is no text, so a key it found nothing under must not be there at all. Where one is, or some have
-- moved to another node, nothing is known, and `look_at_text` asks about each key by itself.
local function look_at_texts(of_ask)
  local keys, absent = {}, {}
  for at = 0, #partition_rows - 1, PARTITION_WIDTH do
    keys[#keys + 1], keys[#keys + 2] = partition_rows[at + 1], partition_rows[at + 2]
  end
  for at = 0, #slot_rows - 1, SLOT_WIDTH do keys[#keys + 1] = slot_rows[at + 2] end
  for at = 0, #asks - 1, ASK_WIDTH do of_ask(at, keys) end
  local found = look("MGET", unpack(keys))
  if not found then return end
  for index, key in ipairs(keys) do
    if found[index] then texts[key] = found[index] else absent[#absent + 1] = key end
  end
  if #absent > 0 and look("EXISTS", unpack(absent)) ~= 0 then return end
  for _, key in ipairs(absent) do texts[key] = false end
end

local function look_at_text(key)
  local text = texts[key]
  if text ~= nil then return text end
  return look("GET", key)
end

local function look_at_partition(number)
  local at = (number - 1) * PARTITION_WIDTH
  local position_key, stopped_key = partition_rows[at + 1], partition_rows[at + 2]
  local position, broken = look_at_text(position_key)
  local stopped, also_broken = look_at_text(stopped_key)
  local epoch, seq = position_of(position)
  if not epoch then broken = "no position can be read from " .. position_key end
  local partition = {
    position_key = position_key, outbox_key = partition_rows[at + 3], broken = broken or also_broken,
    begins = math.max(epoch or 0, 1) .. "-", seq = seq, stopped = stopped, silent = false, changed = false,
  }
  partitions[number] = partition
  return partition
end

local function look_at_slot(number)
  local at = (number - 1) * SLOT_WIDTH
  local slot_id, books_key, partition = slot_rows[at + 1], slot_rows[at + 2], slot_rows[at + 5]
  local text, broken = look_at_text(books_key)
  local books = text and unpacked(text) or {}
  if text and not books[1] then broken = "no books can be read from " .. books_key end
  local slot = {
    slot_id = slot_id, books_key = books_key, returned_key = slot_rows[at + 3], takers_key = slot_rows[at + 4],
    partition = partitions[partition] or look_at_partition(partition), books = books, broken = broken, pool = false,
    taken = false, newcomers = "", changed = false,
  }
  slots[number] = slot
  return slot
end

-- Numbers that came back and may be offered now, lowest first; read once, kept in step.
local function look_at_pool(slot)
  if slot.pool then return slot.pool end
  slot.pool = {}
  if slot.books[AT_RETURNED] > 0 then
    local seats, broken = look("ZRANGEBYSCORE", slot.returned_key, "-inf", at_ms)
    slot.broken = slot.broken or broken
    for index, seat in ipairs(seats or {}) do slot.pool[index] = tonumber(seat) end
    table.sort(slot.pool)
  end
  return slot.pool
end

-- The lowest run of `count` neighbours among what came back and what is fresh, else the lowest `count`.
local function choose_among(slot, count, fresh)
  local pool = look_at_pool(slot)
  local came_back = #pool
  local offered = came_back + math.min(count, fresh)
  if offered < count then return nil end
  local function seat_at(index)
    return index <= came_back and pool[index] or slot.books[AT_NEXT_SEAT] + index - came_back - 1
  end
  local first = 1
  for start = 1, offered - count + 1 do
    if seat_at(start + count - 1) - seat_at(start) == count - 1 then
      first = start
      break
    end
  end
  local seats = {}
  for index = first, first + count - 1 do seats[#seats + 1] = seat_at(index) end
  for _ = first, math.min(first + count - 1, came_back) do
    slot.taken = slot.taken or {}
    slot.taken[#slot.taken + 1] = table.remove(pool, first)
  end
  return seats
end

-- The numbers a family gets; nil if there are too few.
local function choose_seats(slot, count)
  local fresh = slot.books[AT_CAPACITY] - slot.books[AT_NEXT_SEAT] + 1
  if slot.books[AT_RETURNED] > 0 then return choose_among(slot, count, fresh) end
  if fresh < count then return nil end
  local seats = {}
  for index = 1, count do seats[index] = slot.books[AT_NEXT_SEAT] + index - 1 end
  return seats
end

-- How many may be taken now, and from when more may be: nil while nothing waits to be offered.
local function offered_now(slot)
  local fresh = slot.books[AT_CAPACITY] - slot.books[AT_NEXT_SEAT] + 1
  local offered = #look_at_pool(slot) + fresh
  if slot.books[AT_RETURNED] == 0 then return offered, nil end
  local next_one = look("ZRANGEBYSCORE", slot.returned_key, "(" .. at_ms, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return offered, next_one and tonumber(next_one[2]) or nil
end

-- What is known about a hold before the slot is asked: code, seats, number, word; nil when there is none.
local function look_at_hold(at, has_ended)
  local text, broken = look_at_text(asks[at + 4])
  if broken then return CODE.BROKEN, NO_SEATS, 0, broken end
  if not text then
    if has_ended then return CODE.ENDED, NO_SEATS, 0, "" end
    return nil
  end
  local hold = unpacked(text)
  if not hold then return CODE.BROKEN, NO_SEATS, 0, "no hold can be read from " .. asks[at + 4] end
  if not string.find(text, asks[at + 2], 1, true) then return CODE.KEY_REUSED, NO_SEATS, 0, "" end
  if has_ended or hold[1] == RELEASED then return CODE.ENDED, NO_SEATS, 0, "" end
  return CODE.ALREADY_HELD, hold[5], hold[7], hold[1]
end

-- Give a slot's places to the ask in row `at`; HELD is a promise: `take_places` writes it down.
local function promise(at, slot, seats, pay_by_ms)
  local books, count = slot.books, #seats
  local next_seat = math.max(books[AT_NEXT_SEAT], seats[count] + 1)
  books[AT_RETURNED] = books[AT_RETURNED] - (count - (next_seat - books[AT_NEXT_SEAT]))
  books[AT_NEXT_SEAT], books[AT_FREE], books[AT_HELD] = next_seat, books[AT_FREE] - count, books[AT_HELD] + count
  if not balanced_books(books) then
    slot.broken = "the books of " .. slot.slot_id .. " do not add up"
    return CODE.UNBALANCED, NO_SEATS, 0, ""
  end
  local index = #granted
  granted[index + 1], granted[index + 2], granted[index + 3], granted[index + 4] = at, slot, seats, pay_by_ms
  return CODE.HELD, seats, pay_by_ms, HELD
end

-- Code, seats, number, word.
local function look_at_places(at)
  local slot = slots[asks[at + 5]] or look_at_slot(asks[at + 5])
  local partition, books = slot.partition, slot.books
  local broken = partition.broken or slot.broken
  if broken then return CODE.BROKEN, NO_SEATS, 0, broken end
  if partition.stopped then return CODE.STOPPED, NO_SEATS, 0, "" end
  if not books[AT_CHANNEL] then return CODE.UNKNOWN_SLOT, NO_SEATS, 0, "" end
  if books[AT_CHANNEL] ~= "online" then return CODE.CHANNEL_NOT_PUBLIC, NO_SEATS, 0, "" end
  if books[AT_CLOSED] then return CODE.SLOT_CLOSED, NO_SEATS, 0, "" end
  local opens_at_ms, closes_at_ms = books[AT_OPENS_AT_MS], books[AT_CLOSES_AT_MS]
  if at_ms < opens_at_ms then return CODE.WINDOW_NOT_OPEN, NO_SEATS, opens_at_ms, "" end
  if at_ms >= closes_at_ms then return CODE.WINDOW_CLOSED, NO_SEATS, 0, "" end
  if not balanced_books(books) then return CODE.UNBALANCED, NO_SEATS, 0, "" end
  local count = asks[at + 3]
  local seats = books[AT_FREE] >= count and choose_seats(slot, count)
  if slot.broken then return CODE.BROKEN, NO_SEATS, 0, slot.broken end
  if not seats then return CODE.SOLD_OUT, NO_SEATS, books[AT_FREE], "" end
  return promise(at, slot, seats, at_ms + books[AT_PAY_SECONDS] * 1000)
end

-- Hold and event are the same bytes. The event comes first: if the stream were ahead of the
-- position it would fail, and nothing has been written for this partition then.
local function announce_one(at, slot, seats, pay_by_ms, written)
  local partition, reservation_id = slot.partition, asks[at + 1]
  if partition.silent then return end
  local hold = HELD_HOLD .. asks[at + 2] .. cmsgpack.pack(seats, at_ms, pay_by_ms, false)
  local number = partition.seq + 1
  local said = redis.pcall(
    "XADD", partition.outbox_key, partition.begins .. number, "held", reservation_id, "hold", hold
  )
  if type(said) == "table" and said.err then
    partition.silent = said.err
    return
  end
  partition.seq, partition.changed, slot.changed = number, true, true
  slot.newcomers = slot.newcomers .. string.sub(reservation_id, 5, 12)
  written[#written + 1], written[#written + 2] = asks[at + 4], hold
end

-- Write down what was promised: events, then all texts in one call (holds, what `beside` adds of a row, books, positions).
local function take_places(beside)
  local written = {}
  for index = 1, #granted, 4 do
    local at, slot = granted[index], granted[index + 1]
    announce_one(at, slot, granted[index + 2], granted[index + 3], written)
    if beside and not slot.partition.silent then beside(at, written) end
  end
  for _, partition in pairs(partitions) do
    if partition.changed then
      written[#written + 1], written[#written + 2] = partition.position_key, partition.begins .. partition.seq
    end
  end
  for _, slot in pairs(slots) do
    if slot.changed then written[#written + 1], written[#written + 2] = slot.books_key, cmsgpack.pack(slot.books) end
  end
  if #written == 0 then return end
  redis.call("MSET", unpack(written))
  for _, slot in pairs(slots) do
    if slot.changed then
      if slot.taken then redis.call("ZREM", slot.returned_key, unpack(slot.taken)) end
      redis.call("APPEND", slot.takers_key, slot.newcomers)
    end
  end
end

-- What the batch is answered: results of four each, and for every slot that is sold out what a
-- worker may answer by itself: who has had places there, so that it never refuses a repeat.
local function answer(results)
  local sold_out, noted = {}, {}
  for index = 1, #results, 4 do
    local number = asks[(index - 1) / 4 * ASK_WIDTH + 5]
    local slot = slots[number]
    if results[index] == CODE.SOLD_OUT and not noted[number] then
      noted[number] = true
      local offered, next_offer_ms = offered_now(slot)
      local until_ms = math.min(at_ms + GATE_MS, next_offer_ms or at_ms + GATE_MS, slot.books[AT_CLOSES_AT_MS])
      sold_out[#sold_out + 1] = {number, offered, until_ms, look("GET", slot.takers_key) or ""}
    elseif results[index] == CODE.HELD and slot.partition.silent then
      results[index], results[index + 1], results[index + 2] = CODE.BROKEN, NO_SEATS, 0
      results[index + 3] = slot.partition.silent
    end
  end
  return cmsgpack.pack({results, sold_out, at_ms})
end
