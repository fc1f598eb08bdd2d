--[[
  Note that a holder wants to give his places back. Booking decides whether that still can be.

  Why a script: the mark and its event are one write, and the event is said once.

  KEYS[1] hold    hash    what is held, for whom
  KEYS[2] outbox  stream  one entry per decision
  KEYS[3] seq     hash    epoch, seq

  ARGV[1] reservation_id
  ARGV[2] account_id

  Returns {code, state}
     1  ASKED
     0  ALREADY_ASKED
    -1  UNKNOWN_HOLD   never held here, or somebody else's
    -2  ENDED          its places went back without being asked for
    -3  CONFIRMED      paid for: that is cancelled at booking, not given back here
]]
-- @include "clock"
-- @include "announce"
local hold, outbox, seq = unpack(KEYS)

-- Look.
local record = redis.call("HMGET", hold, "account_id", "state", "give_back_asked", "slot_id")
if not record[1] or record[1] ~= ARGV[2] then return {-1, ""} end
if record[3] then return {0, record[2]} end
if record[2] == "released" then return {-2, record[2]} end
if record[2] == "confirmed" then return {-3, record[2]} end

-- Take.
announce(outbox, seq, {
  "type", "give_back_asked", "slot_id", record[4], "at_ms", clock_ms(), "reservation_id", ARGV[1],
  "account_id", ARGV[2],
})
redis.call("HSET", hold, "give_back_asked", "1")
return {1, record[2]}
