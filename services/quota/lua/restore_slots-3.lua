--[[
  Put slots of one partition back as booking's snapshot has them: the plans, the books, the unused seats.

  Why a script: the books and the seats change together or not at all, and only while the
  partition is stopped for this very rebuild. Doing it again changes nothing.

  KEYS[1] plans     zset    slot_id by plan revision, for readers' catalogues
  KEYS[2] revision  string  the newest plan's number among them
  KEYS[3] stopped   string  the mark of the rebuild it waits for; the other keys are in the batch, all of its tag

  ARGV[1] mark   of the rebuild, as `stopped` has it
  ARGV[2] batch  msgpack, flat, of each slot: slot_id; the keys of slot, returned, withheld, books, takers; version,
                 capacity as planned, opens_at_ms, closes_at_ms, pay_seconds, channel, closed, the plan as JSON;
                 held, confirmed, next_seat, numbers below it that nobody has (lowest first), takers

  Returns codes, one for each slot
     1  RESTORED
    -1  UNBALANCED    the bookings do not fit the plan: nothing is written of this slot
    -2  NOT_YOURS     the partition is not stopped for this rebuild: nothing is written
]]
-- @include "clock"
-- @include "ledger"
local WIDTH = 19
local plans, revision, stopped = unpack(KEYS)
local batch, codes, at_ms = cmsgpack.unpack(ARGV[2]), {}, clock_ms()
local is_mine = redis.call("GET", stopped) == ARGV[1]

local function restore(
  slot_id, slot, returned, withheld, books, takers, version, planned, opens_at_ms, closes_at_ms, pay_seconds, channel,
  closed, plan, held, confirmed, next_seat, unused, taken
)
  -- Look.
  if not is_mine then return -2 end
  local ledger = {
    planned = planned, held = held, confirmed = confirmed, next_seat = next_seat, channel = channel, closed = closed,
    opens_at_ms = opens_at_ms, closes_at_ms = closes_at_ms, pay_seconds = pay_seconds,
  }
  recount(ledger)
  if not balanced(ledger) or #unused ~= ledger.returned + ledger.withheld then return -1 end

  -- Take.
  redis.call("DEL", slot, returned, withheld, takers)
  for index, seat in ipairs(unused) do
    redis.call("ZADD", index <= ledger.returned and returned or withheld, at_ms, seat)
  end
  write_ledger(books, ledger)
  redis.call("HSET", slot, "version", version, "plan", plan)
  if taken ~= "" then redis.call("SET", takers, taken) end
  redis.call("ZADD", plans, redis.call("INCR", revision), slot_id)
  return 1
end

for at = 1, #batch, WIDTH do codes[#codes + 1] = restore(unpack(batch, at, at + WIDTH - 1)) end
return codes
