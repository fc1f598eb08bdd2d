--[[
  Make a plan of booking true: load a slot, resize it, open it, close it.

  Why a script: a resize counts seats in use and moves the unused ones in the same step,
  or a hold in between would be counted on neither side. A plan that is not newer than
  the one applied changes nothing, so plans may arrive twice and out of order.
  A plan below the seats in use takes nothing away from anybody: the difference is the
  surplus, and seats that come back are withheld until there is room for them.

  KEYS[1] slot      hash    version, and the plan as JSON
  KEYS[2] returned  zset    seats that may be offered again, by when
  KEYS[3] withheld  zset    seats the plan has no room for, by when
  KEYS[4] books     string  what the slot has
  KEYS[5] plans     zset    slot_id by plan revision, for readers' catalogues
  KEYS[6] revision  string  the newest plan's number among them
  KEYS[7] outbox    stream  decisions
  KEYS[8] position  string  of the last decision
  KEYS[9] stopped   string  why nothing may be decided
  KEYS[10] cleared  string  the server whose history has been compared

  ARGV[1] slot_id
  ARGV[2] version
  ARGV[3] capacity       as planned
  ARGV[4] opens_at_ms
  ARGV[5] closes_at_ms
  ARGV[6] pay_seconds
  ARGV[7] channel
  ARGV[8] closed         1 or 0
  ARGV[9] plan           the event as JSON
  ARGV[10] cleared_only  1: only where the history has been compared. 0 where there is nobody to compare with

  Returns {code, surplus}
     1  APPLIED
     0  NOT_NEWER
    -1  UNBALANCED   the books do not add up: nothing is written
    -2  STOPPED      the partition waits to be compared, or for its rebuild
]]
-- @include "clock"
-- @include "announce"
-- @include "ledger"
-- @include "seats"
local slot, returned, withheld, books, plans, revision, outbox, position, stopped, cleared = unpack(KEYS)
local slot_id, version, planned = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

-- Look.
if redis.call("EXISTS", stopped) == 1 then return {-2, 0} end
if ARGV[10] == "1" and redis.call("EXISTS", cleared) == 0 then return {-2, 0} end
local known = tonumber(redis.call("HGET", slot, "version"))
if known and known >= version then return {0, 0} end
local ledger = read_ledger(books, returned)
if ledger and not sound(ledger) then return {-1, 0} end
ledger = ledger or {held = 0, confirmed = 0, next_seat = 1}
ledger.planned = planned
ledger.channel, ledger.closed = ARGV[7], ARGV[8] == "1"
ledger.opens_at_ms, ledger.closes_at_ms, ledger.pay_seconds = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
recount(ledger)
local at_ms = clock_ms()
local unused = unused_seats(returned, withheld, {}, at_ms)
if not balanced(ledger) or #unused ~= ledger.returned + ledger.withheld then return {-1, 0} end

-- Take.
announce(outbox, position, {
  "type", "slot_applied", "slot_id", slot_id, "at_ms", at_ms, "version", version, "capacity", ledger.capacity,
  "free", ledger.free, "held", ledger.held, "confirmed", ledger.confirmed, "withheld", ledger.withheld,
})
share_out(returned, withheld, unused, ledger.returned)
write_ledger(books, ledger)
redis.call("HSET", slot, "version", version, "plan", ARGV[9])
redis.call("ZADD", plans, redis.call("INCR", revision), slot_id)
return {1, math.max(0, ledger.held + ledger.confirmed - planned)}
