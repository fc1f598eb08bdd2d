-- What a batch is answered: a number for each code, and for each slot that is sold out what a
-- worker may answer by itself: who has had places there, so that it never refuses a repeat.
local CODES = {
  HELD = 1, ALREADY_HELD = 0, UNKNOWN_SLOT = -1, KEY_REUSED = -2, ENDED = -3, CHANNEL_NOT_PUBLIC = -4,
  SLOT_CLOSED = -5, WINDOW_NOT_OPEN = -6, WINDOW_CLOSED = -7, SOLD_OUT = -8, CLAIM_TOO_OLD = -9, STOPPED = -10,
  UNBALANCED = -11, ACCOUNT_ALREADY_RESERVED = -12, PERSON_ALREADY_RESERVED = -13, NO_SHOW_BLOCK = -14, BROKEN = -15,
}
-- For as long as this a worker may refuse by itself: a place that comes back sooner is sold later.
local GATE_MS = 1000

local function answer(results, asks, slots, partitions, silent, at_ms)
  local sold_out, noted = {}, {}
  for index, result in ipairs(results) do
    local at = asks[index][5]
    local slot = slots[at]
    if result[1] == "SOLD_OUT" and not noted[at] then
      noted[at] = true
      local offered, next_offer_ms = offered_now(slot, at_ms)
      local until_ms = math.min(at_ms + GATE_MS, next_offer_ms or at_ms + GATE_MS, slot.closes_at_ms)
      sold_out[#sold_out + 1] = {at, offered, until_ms, look("GET", slot[5]) or ""}
    end
    if result[1] == "HELD" and silent[partitions[slot[6]]] then
      result = {"BROKEN", {}, 0, silent[partitions[slot[6]]]}
    end
    result[1] = CODES[result[1]]
    results[index] = result
  end
  return cmsgpack.pack({results, sold_out, at_ms})
end
