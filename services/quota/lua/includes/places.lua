-- @include "ledger"
-- @include "holds"
-- Places of many slots for many families in one call: all is looked at before anything is
-- written, what is read once is kept, and a write is made once for all who share it. A key
-- that is not what it should be spoils the asks that need it and no other.
--
-- The batch is msgpack: {partitions, slots, asks}
--   partition  {seq key, outbox key}
--   slot       {slot_id, slot key, returned key, office key, takers key, index of its partition}
--   ask        {reservation_id, account_id, person_ids, hold key, index of its slot, ...}
-- A granted ask is kept as {ask, slot, seats, pay_by_ms} until the take.

local function look(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return nil, reply.err end
  return reply
end

local function look_at_partition(row)
  if row.looked then return row end
  row.looked, row.seq_key, row.outbox_key, row.granted = true, row[1], row[2], {}
  local state, broken = look("HMGET", row.seq_key, "epoch", "seq", "stopped")
  row.broken = broken
  if state then row.epoch, row.seq, row.stopped = state[1] or "1", tonumber(state[2]) or 0, state[3] end
  return row
end

local function look_at_slot(row)
  if row.looked then return row end
  row.looked, row.slot_id, row.taken = true, row[1], {}
  local field, broken = look(
    "HMGET", row[2], "channel", "closed", "opens_at_ms", "closes_at_ms", "pay_seconds", "planned", "capacity", "free",
    "held", "confirmed", "withheld", "returned", "next_seat"
  )
  row.broken = broken
  if not field or not field[1] then return row end
  row.channel, row.closed = field[1], field[2] == "1"
  row.opens_at_ms, row.closes_at_ms, row.pay_ms = tonumber(field[3]), tonumber(field[4]), field[5] * 1000
  row.planned, row.capacity, row.free = tonumber(field[6]), tonumber(field[7]), tonumber(field[8])
  row.held, row.confirmed, row.withheld = tonumber(field[9]), tonumber(field[10]), tonumber(field[11])
  row.returned, row.next_seat = tonumber(field[12]), tonumber(field[13])
  row.fresh_from = row.next_seat
  return row
end

-- Numbers that may be offered now: those that came back, lowest first; read once, kept in step.
local function look_at_pool(slot, at_ms)
  if slot.pool then return slot.pool end
  slot.pool = {}
  if slot.returned > 0 then
    local seats, broken = look("ZRANGEBYSCORE", slot[3], "-inf", at_ms)
    slot.broken = slot.broken or broken
    for index, seat in ipairs(seats or {}) do slot.pool[index] = tonumber(seat) end
    table.sort(slot.pool)
  end
  return slot.pool
end

-- The lowest run of `count` neighbours among what may be offered, else the lowest `count`; nil if there are too few.
local function choose_seats(slot, count, at_ms)
  local pool = look_at_pool(slot, at_ms)
  local came_back, offered = #pool, #pool
  local fresh = math.min(count, slot.capacity - slot.next_seat + 1)
  local function seat_at(index)
    return index <= came_back and pool[index] or slot.next_seat + index - came_back - 1
  end
  offered = offered + fresh
  if offered < count then return nil end
  local first = 1
  for start = 1, offered - count + 1 do
    if seat_at(start + count - 1) - seat_at(start) == count - 1 then
      first = start
      break
    end
  end
  local seats = {}
  for index = first, first + count - 1 do seats[#seats + 1] = seat_at(index) end
  for _ = first, math.min(first + count - 1, came_back) do table.remove(pool, first) end
  return seats
end

-- How many may be taken now, and from when more may be: nil while nothing waits to be offered.
local function offered_now(slot, at_ms)
  local fresh = slot.capacity - slot.next_seat + 1
  local offered = #look_at_pool(slot, at_ms) + fresh
  if slot.returned == 0 then return offered, nil end
  local next_one = look("ZRANGEBYSCORE", slot[3], "(" .. at_ms, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return offered, next_one and tonumber(next_one[2]) or nil
end

-- What is known about a hold before the slot is asked: a code and more, or nil when there is none.
local function look_at_hold(ask, has_ended)
  local text, broken = look("GET", ask[4])
  if broken then return "BROKEN", {}, 0, broken end
  if not text then
    if has_ended then return "ENDED", {}, 0, "" end
    return nil
  end
  local hold = unpacked(text)
  if not hold then return "BROKEN", {}, 0, "no hold can be read from " .. ask[4] end
  if table.concat(hold[4], ",") ~= table.concat(ask[3], ",") then return "KEY_REUSED", {}, 0, "" end
  if has_ended or hold[1] == RELEASED then return "ENDED", {}, 0, "" end
  return "ALREADY_HELD", hold[5], hold[7], hold[1]
end

-- A code, seats, a number and a word. HELD is a promise: `take_places` writes it down.
local function look_at_places(ask, slot, partition, at_ms)
  if partition.broken or slot.broken then return "BROKEN", {}, 0, partition.broken or slot.broken end
  if partition.stopped then return "STOPPED", {}, 0, "" end
  if not slot.channel then return "UNKNOWN_SLOT", {}, 0, "" end
  if slot.channel ~= "online" then return "CHANNEL_NOT_PUBLIC", {}, 0, "" end
  if slot.closed then return "SLOT_CLOSED", {}, 0, "" end
  if at_ms < slot.opens_at_ms then return "WINDOW_NOT_OPEN", {}, slot.opens_at_ms, "" end
  if at_ms >= slot.closes_at_ms then return "WINDOW_CLOSED", {}, 0, "" end
  if not balanced(slot) then return "UNBALANCED", {}, 0, "" end
  local count = #ask[3]
  local seats = slot.free >= count and choose_seats(slot, count, at_ms)
  if slot.broken then return "BROKEN", {}, 0, slot.broken end
  if not seats then return "SOLD_OUT", {}, slot.free, "" end
  local next_seat = math.max(slot.next_seat, seats[count] + 1)
  slot.returned = slot.returned - (count - (next_seat - slot.next_seat))
  slot.next_seat, slot.free, slot.held = next_seat, slot.free - count, slot.held + count
  if not balanced(slot) then
    slot.broken = "the books of " .. slot.slot_id .. " do not add up"
    return "UNBALANCED", {}, 0, ""
  end
  local pay_by_ms = at_ms + slot.pay_ms
  partition.granted[#partition.granted + 1] = {ask, slot, seats, pay_by_ms}
  return "HELD", seats, pay_by_ms, HELD
end

-- Hold and event are the same bytes. The event comes first: if the stream were ahead of the
-- counter it would fail, and nothing has been written for this partition then.
local function take_one(partition, granted, at_ms)
  local ask, slot, seats, pay_by_ms = granted[1], granted[2], granted[3], granted[4]
  local hold = cmsgpack.pack({HELD, slot.slot_id, ask[2], ask[3], seats, at_ms, pay_by_ms, false})
  local number = partition.seq + 1
  local said = redis.pcall(
    "XADD", partition.outbox_key, partition.epoch .. "-" .. number, "held", ask[1], "hold", hold
  )
  if type(said) == "table" and said.err then return said.err end
  partition.seq = number
  redis.call("SET", ask[4], hold)
  redis.call("APPEND", slot[5], string.sub(ask[1], 5, 12))
  for _, seat in ipairs(seats) do
    if seat < slot.fresh_from then slot.taken[#slot.taken + 1] = seat end
  end
  slot.changed = true
end

-- Write down what was promised in these partitions. Returns the error of each that could not say it, by partition.
local function take_places(partitions, slots, at_ms)
  local silent = {}
  for _, partition in ipairs(partitions) do
    for _, granted in ipairs(partition.granted or {}) do
      silent[partition] = take_one(partition, granted, at_ms)
      if silent[partition] then break end
    end
    if partition.granted and partition.granted[1] and not silent[partition] then
      redis.call("HSET", partition.seq_key, "epoch", partition.epoch, "seq", partition.seq)
    end
  end
  for _, slot in ipairs(slots) do
    if slot.changed then
      if slot.taken[1] then redis.call("ZREM", slot[3], unpack(slot.taken)) end
      redis.call(
        "HSET", slot[2], "free", slot.free, "held", slot.held, "returned", slot.returned, "next_seat", slot.next_seat
      )
      redis.call("HSET", slot[4], slot.slot_id, slot.free)
    end
  end
  return silent
end
