--[[
  Put a slot back as booking's snapshot has it: the plan, the books, the unused seats.

  Why a script: the books and the seats change together or not at all, and only while the
  partition is stopped for this very rebuild. Doing it again changes nothing.

  KEYS[1] slot      hash    version, and the plan as JSON
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] withheld  zset    seats the plan has no room for, by when
  KEYS[4] books     string  what the slot has
  KEYS[5] takers    string  eight characters of every reservation that has had places
  KEYS[6] plans     zset    slot_id by plan revision, for readers' catalogues
  KEYS[7] revision  string  the newest plan's number among them
  KEYS[8] stopped   string  the mark of the rebuild it waits for

  ARGV[1] mark           of the rebuild, as `stopped` has it
  ARGV[2] slot_id
  ARGV[3] version
  ARGV[4] capacity       as planned
  ARGV[5] opens_at_ms
  ARGV[6] closes_at_ms
  ARGV[7] pay_seconds
  ARGV[8] channel
  ARGV[9] closed         1 or 0
  ARGV[10] plan          the event as JSON
  ARGV[11] held
  ARGV[12] confirmed
  ARGV[13] next_seat
  ARGV[14] unused        msgpack: numbers below next_seat that nobody has, lowest first
  ARGV[15] takers

  Returns {code, capacity, free, withheld}
     1  RESTORED
    -1  UNBALANCED    the bookings do not fit the plan: nothing is written
    -2  NOT_YOURS     the partition is not stopped for this rebuild: nothing is written
]]
-- @include "clock"
-- @include "ledger"
local slot, returned, withheld, books, takers, plans, revision, stopped = unpack(KEYS)

-- Look.
if redis.call("GET", stopped) ~= ARGV[1] then return {-2, 0, 0, 0} end
local ledger = {
  planned = tonumber(ARGV[4]), held = tonumber(ARGV[11]), confirmed = tonumber(ARGV[12]),
  next_seat = tonumber(ARGV[13]), channel = ARGV[8], closed = ARGV[9] == "1", opens_at_ms = tonumber(ARGV[5]),
  closes_at_ms = tonumber(ARGV[6]), pay_seconds = tonumber(ARGV[7]),
}
recount(ledger)
local unused = cmsgpack.unpack(ARGV[14])
if not balanced(ledger) or #unused ~= ledger.returned + ledger.withheld then return {-1, 0, 0, 0} end

-- Take.
local at_ms = clock_ms()
redis.call("DEL", slot, returned, withheld, takers)
for index, seat in ipairs(unused) do
  redis.call("ZADD", index <= ledger.returned and returned or withheld, at_ms, seat)
end
write_ledger(books, ledger)
redis.call("HSET", slot, "version", ARGV[3], "plan", ARGV[10])
if ARGV[15] ~= "" then redis.call("SET", takers, ARGV[15]) end
redis.call("ZADD", plans, redis.call("INCR", revision), ARGV[2])
return {1, ledger.capacity, ledger.free, ledger.withheld}
