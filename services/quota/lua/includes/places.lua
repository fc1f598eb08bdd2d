-- @include "ledger"
-- @include "holds"
-- @include "position"
-- Places of many slots for many families in one call: all is looked at before anything is
-- written, what is read once is kept, and a write is made once for all who share it. A key
-- that is not what it should be spoils the asks that need it and no other.
--
-- The batch is one msgpack array: how many values partitions, slots and asks take, and the values, one after the other,
-- because a table costs more than a number:
--   partitions  position key, stopped key, outbox key
--   slots       slot_id, books key, returned key, takers key, number of its partition
--   asks        reservation_id, body, count of persons, hold key, number of its slot, and two of the script's own
-- A body is the middle of a hold: msgpack of slot_id, account_id and person_ids, one after the other.
local PARTITION_WIDTH, AT_POSITION_KEY, AT_STOPPED_KEY, AT_OUTBOX_KEY = 3, 1, 2, 3
local SLOT_WIDTH, AT_SLOT_ID, AT_BOOKS_KEY, AT_RETURNED_KEY, AT_TAKERS_KEY, AT_PARTITION = 5, 1, 2, 3, 4, 5
local ASK_WIDTH = 7
-- What each ask is answered: code, seats, number, word.
local RESULT_WIDTH = 4
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

-- Of more than fifteen values and fewer than 65,536: its head takes three bytes.
local read_to = 3

local function taken(after, ...)
  read_to = after
  return {...}
end

-- The batch's next values, made an array at once: one that grows is moved at every doubling.
local function next_values(count) return taken(cmsgpack.unpack_limit(ARGV[1], count, read_to)) end

local sizes = next_values(3)
local partition_rows = next_values(sizes[1])
local slot_rows = next_values(sizes[2])
local asks = next_values(sizes[3])
local at_ms = clock_ms()

-- What is known of partitions and slots by their number in the batch: a column for each thing, and the rare ones stay
-- empty. A table for each slot would cost as much as its books, as would a call for each of its keys.
local begins_of, seq_of, said_at, stopped, silent, broken_partition = {}, {}, {}, {}, {}, {}
local books_of, newcomers_of, pool_of, taken_of, broken_slot = {}, {}, {}, {}, {}
-- Four of each promise: row of the ask, number of the slot, seats (the hold, once it is spelled), pay_by_ms.
local granted, granted_count = {}, 0

local function of_partition(number, column) return partition_rows[(number - 1) * PARTITION_WIDTH + column] end
local function of_slot(number, column) return slot_rows[(number - 1) * SLOT_WIDTH + column] end

local function look(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return nil, reply.err end
  return reply
end

-- The texts under the batch's keys, in its order: two of each partition, one of each slot, and of each ask that of its
-- hold and, where the script names one, of another key. Nil where each has to be looked at by itself.
local texts, slots_from, asks_from, texts_per_ask = nil, 0, 0, 1

-- All are read in one call, whose cost is mostly that it is one; `beside` is the column of an ask's other key. MGET
-- finds nothing where there is no text, so a key it found nothing under must not be there at all. Where one is, or some
-- have moved to another node, nothing is known.
local function look_at_texts(beside)
  local keys, count, absent, missing = {}, 0, {}, 0
  for at = 0, #partition_rows - 1, PARTITION_WIDTH do
    keys[count + 1], keys[count + 2] = partition_rows[at + AT_POSITION_KEY], partition_rows[at + AT_STOPPED_KEY]
    count = count + 2
  end
  slots_from = count
  for at = 0, #slot_rows - 1, SLOT_WIDTH do
    count = count + 1
    keys[count] = slot_rows[at + AT_BOOKS_KEY]
  end
  asks_from, texts_per_ask = count, beside and 2 or 1
  for at = 0, #asks - 1, ASK_WIDTH do
    keys[count + 1] = asks[at + 4]
    if beside then keys[count + 2] = asks[at + beside] end
    count = count + texts_per_ask
  end
  local found = look("MGET", unpack(keys))
  if not found then return end
  for index = 1, count do
    if not found[index] then
      missing = missing + 1
      absent[missing] = keys[index]
    end
  end
  if missing > 0 and look("EXISTS", unpack(absent)) ~= 0 then return end
  texts = found
end

local function look_at_text(index, key)
  if texts then return texts[index] end
  return look("GET", key)
end

local function look_at_partition(number)
  local position_key = of_partition(number, AT_POSITION_KEY)
  local position, broken = look_at_text(2 * number - 1, position_key)
  local why_stopped, also_broken = look_at_text(2 * number, of_partition(number, AT_STOPPED_KEY))
  local epoch, seq = position_of(position)
  if not epoch then broken = "no position can be read from " .. position_key end
  begins_of[number], seq_of[number] = math.max(epoch or 0, 1) .. "-", seq
  broken_partition[number], stopped[number] = broken or also_broken, why_stopped or nil
end

local function look_at_slot(number)
  local at = (number - 1) * SLOT_WIDTH
  local books_key, partition = slot_rows[at + AT_BOOKS_KEY], slot_rows[at + AT_PARTITION]
  local text, broken = look_at_text(slots_from + number, books_key)
  local books = text and books_in(text)
  if text and not books then broken = "no books can be read from " .. books_key end
  if not begins_of[partition] then look_at_partition(partition) end
  books_of[number], broken_slot[number] = books or {}, broken
  return books_of[number]
end

-- Numbers that came back, lowest first, as far as a command finds them.
local function open_pool(number, command, ...)
  local seats, broken = look(command, of_slot(number, AT_RETURNED_KEY), ...)
  local pool = {}
  for index, seat in ipairs(seats or {}) do pool[index] = tonumber(seat) end
  table.sort(pool)
  pool_of[number], broken_slot[number] = pool, broken_slot[number] or broken
end

-- Those that may be offered now; read once, kept in step.
local function look_at_pool(number)
  if not pool_of[number] then
    if books_of[number][AT_RETURNED] == 0 then return {} end
    open_pool(number, "ZRANGEBYSCORE", "-inf", at_ms)
  end
  return pool_of[number]
end

-- The lowest run of `count` neighbours among what came back and what is fresh, else the lowest `count`.
local function choose_among(number, count, fresh)
  local pool, books = look_at_pool(number), books_of[number]
  local came_back, next_seat = #pool, books[AT_NEXT_SEAT]
  if came_back > books[AT_RETURNED] then return nil, CODE.UNBALANCED end
  local offered = came_back + math.min(count, fresh)
  if offered < count then return nil end
  local function seat_at(index) return index <= came_back and pool[index] or next_seat + index - came_back - 1 end
  local first = 1
  for start = 1, offered - count + 1 do
    if seat_at(start + count - 1) - seat_at(start) == count - 1 then
      first = start
      break
    end
  end
  local seats, taken = {}, taken_of[number] or {}
  for index = first, first + count - 1 do seats[#seats + 1] = seat_at(index) end
  for _ = first, math.min(first + count - 1, came_back) do taken[#taken + 1] = table.remove(pool, first) end
  taken_of[number] = taken[1] and taken
  return seats
end

-- The numbers a family gets; nil if there are too few, and a code if it is for another reason. What is chosen from
-- books that add up leaves books that do: no more is taken of what came back, or of what is fresh, than there is.
local function choose_seats(number, count)
  local books = books_of[number]
  local next_seat = books[AT_NEXT_SEAT]
  local fresh = books[AT_CAPACITY] - next_seat + 1
  if books[AT_RETURNED] > 0 then return choose_among(number, count, fresh) end
  if fresh < count then return nil end
  local seats = {}
  for index = 1, count do seats[index] = next_seat + index - 1 end
  return seats
end

-- How many may be taken now, and from when more may be: nil while nothing waits to be offered.
local function offered_now(number)
  local books = books_of[number]
  local offered = #look_at_pool(number) + books[AT_CAPACITY] - books[AT_NEXT_SEAT] + 1
  if books[AT_RETURNED] == 0 then return offered, nil end
  local returned_key = of_slot(number, AT_RETURNED_KEY)
  local next_one = look("ZRANGEBYSCORE", returned_key, "(" .. at_ms, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return offered, next_one and tonumber(next_one[2]) or nil
end

-- What is known about a hold before the slot is asked: code, seats, number, word; nil when there is none.
local function look_at_hold(at, text_at, has_ended)
  local text, broken = look_at_text(text_at, asks[at + 4])
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
local function promise(at, number, seats, pay_by_ms)
  local books, count = books_of[number], #seats
  local next_seat = math.max(books[AT_NEXT_SEAT], seats[count] + 1)
  books[AT_RETURNED] = books[AT_RETURNED] - (count - (next_seat - books[AT_NEXT_SEAT]))
  books[AT_NEXT_SEAT], books[AT_FREE], books[AT_HELD] = next_seat, books[AT_FREE] - count, books[AT_HELD] + count
  granted[granted_count + 1], granted[granted_count + 2] = at, number
  granted[granted_count + 3], granted[granted_count + 4] = seats, pay_by_ms
  granted_count = granted_count + 4
  return CODE.HELD, seats, pay_by_ms, HELD
end

-- Code, seats, number, word.
local function look_at_places(at)
  local number = asks[at + 5]
  local books = books_of[number] or look_at_slot(number)
  local partition = slot_rows[(number - 1) * SLOT_WIDTH + AT_PARTITION]
  local broken = broken_partition[partition] or broken_slot[number]
  if broken then return CODE.BROKEN, NO_SEATS, 0, broken end
  if stopped[partition] then return CODE.STOPPED, NO_SEATS, 0, "" end
  if not books[AT_CHANNEL] then return CODE.UNKNOWN_SLOT, NO_SEATS, 0, "" end
  if books[AT_CHANNEL] ~= "online" then return CODE.CHANNEL_NOT_PUBLIC, NO_SEATS, 0, "" end
  if books[AT_CLOSED] then return CODE.SLOT_CLOSED, NO_SEATS, 0, "" end
  local opens_at_ms, closes_at_ms = books[AT_OPENS_AT_MS], books[AT_CLOSES_AT_MS]
  if at_ms < opens_at_ms then return CODE.WINDOW_NOT_OPEN, NO_SEATS, opens_at_ms, "" end
  if at_ms >= closes_at_ms then return CODE.WINDOW_CLOSED, NO_SEATS, 0, "" end
  if not balanced_books(books) then return CODE.UNBALANCED, NO_SEATS, 0, "" end
  local count, seats, why = asks[at + 3], nil, nil
  if books[AT_FREE] >= count then seats, why = choose_seats(number, count) end
  if broken_slot[number] then return CODE.BROKEN, NO_SEATS, 0, broken_slot[number] end
  if not seats then return why or CODE.SOLD_OUT, NO_SEATS, books[AT_FREE], "" end
  return promise(at, number, seats, at_ms + books[AT_PAY_SECONDS] * 1000)
end

-- What becomes of each ask, before anything is written. `look_at` is told the row and where the texts of its ask begin.
local function look_at_all(look_at)
  local results, index, text_at = {}, 0, asks_from + 1
  for at = 0, #asks - 1, ASK_WIDTH do
    results[index + 1], results[index + 2], results[index + 3], results[index + 4] = look_at(at, text_at)
    index, text_at = index + RESULT_WIDTH, text_at + texts_per_ask
  end
  return results
end

-- How a hold ends, by pay_by_ms: most of a pass have the same.
local end_of = {}

local function spell_end(pay_by_ms)
  local text = cmsgpack.pack(at_ms, pay_by_ms, false)
  end_of[pay_by_ms] = text
  return text
end

-- Say each partition's holds in one entry of its stream, a field of each: its id and the hold, the same bytes as under
-- its key. The entry's id is the last one's, those before it have the numbers below. It comes before any other write: if
-- the stream were ahead of the position it would fail, and nothing has been written for the partition then.
local function announce_holds()
  local facts_of = {}
  for index = 1, granted_count, 4 do
    local at, pay_by_ms = granted[index], granted[index + 3]
    local partition = slot_rows[(granted[index + 1] - 1) * SLOT_WIDTH + AT_PARTITION]
    local ending = end_of[pay_by_ms] or spell_end(pay_by_ms)
    local hold = HELD_HOLD .. asks[at + 2] .. cmsgpack.pack(granted[index + 2]) .. ending
    local facts = facts_of[partition] or {}
    local told = #facts
    facts[told + 1], facts[told + 2] = asks[at + 1], hold
    facts_of[partition], granted[index + 2] = facts, hold
  end
  for partition, facts in pairs(facts_of) do
    local id = begins_of[partition] .. seq_of[partition] + #facts / 2
    local said = redis.pcall("XADD", of_partition(partition, AT_OUTBOX_KEY), id, unpack(facts))
    if type(said) == "table" and said.err then silent[partition] = said.err else said_at[partition] = id end
  end
end

-- Write down what was promised: events, then all texts in one call (holds, the key and text `beside` has for a row,
-- positions, books).
local function take_places(beside)
  announce_holds()
  local written, count = {}, 0
  for index = 1, granted_count, 4 do
    local at, number = granted[index], granted[index + 1]
    if said_at[slot_rows[(number - 1) * SLOT_WIDTH + AT_PARTITION]] then
      written[count + 1], written[count + 2] = asks[at + 4], granted[index + 2]
      if beside then written[count + 3], written[count + 4] = beside(at) end
      count = count + (beside and 4 or 2)
      local newcomers, newcomer = newcomers_of[number], string.sub(asks[at + 1], 5, 12)
      newcomers_of[number] = newcomers and newcomers .. newcomer or newcomer
    end
  end
  if count == 0 then return end
  for partition, id in pairs(said_at) do
    written[count + 1], written[count + 2] = of_partition(partition, AT_POSITION_KEY), id
    count = count + 2
  end
  for number in pairs(newcomers_of) do
    written[count + 1] = slot_rows[(number - 1) * SLOT_WIDTH + AT_BOOKS_KEY]
    written[count + 2] = cmsgpack.pack(books_of[number])
    count = count + 2
  end
  redis.call("MSET", unpack(written))
  for number, newcomers in pairs(newcomers_of) do
    if taken_of[number] then redis.call("ZREM", of_slot(number, AT_RETURNED_KEY), unpack(taken_of[number])) end
    redis.call("APPEND", slot_rows[(number - 1) * SLOT_WIDTH + AT_TAKERS_KEY], newcomers)
  end
end

-- What a worker may answer by itself about a slot that refused somebody, with those who have had places there: so it
-- never refuses a repeat.
local function full(number)
  local offered, next_offer_ms = offered_now(number)
  local until_ms = math.min(at_ms + GATE_MS, next_offer_ms or at_ms + GATE_MS, books_of[number][AT_CLOSES_AT_MS])
  return {number, offered, until_ms, look("GET", of_slot(number, AT_TAKERS_KEY)) or ""}
end

-- What the batch is answered. A promise that could not be told is none.
local function answer(results)
  local sold_out, noted, index = {}, {}, 1
  for at = 0, #asks - 1, ASK_WIDTH do
    local number = asks[at + 5]
    local silence = silent[slot_rows[(number - 1) * SLOT_WIDTH + AT_PARTITION]]
    if results[index] == CODE.SOLD_OUT and not noted[number] then
      noted[number] = true
      sold_out[#sold_out + 1] = full(number)
    elseif results[index] == CODE.HELD and silence then
      results[index], results[index + 1], results[index + 2] = CODE.BROKEN, NO_SEATS, 0
      results[index + 3] = silence
    end
    index = index + RESULT_WIDTH
  end
  return cmsgpack.pack({results, sold_out, at_ms})
end
