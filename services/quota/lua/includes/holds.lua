-- @include "unpacked"
-- A hold as one msgpack array. The stream tells the same bytes, so they are packed once.
--   {state, slot_id, account_id, person_ids, seats, at_ms, pay_by_ms, give_back_asked}
local HELD, CONFIRMED, RELEASED = "held", "confirmed", "released"

local function pack_hold(hold)
  return cmsgpack.pack({
    hold.state, hold.slot_id, hold.account_id, hold.person_ids, hold.seats, hold.at_ms, hold.pay_by_ms,
    hold.give_back_asked,
  })
end

local function read_hold(key)
  local text = redis.call("GET", key)
  if not text then return nil end
  local row = unpacked(text)
  if not row then error("no hold can be read from " .. key) end
  return {
    state = row[1], slot_id = row[2], account_id = row[3], person_ids = row[4], seats = row[5], at_ms = row[6],
    pay_by_ms = row[7], give_back_asked = row[8],
  }
end

local function write_hold(key, hold) redis.call("SET", key, pack_hold(hold)) end
