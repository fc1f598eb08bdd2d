--[[
  Note that a holder wants to give his places back. Booking decides whether that still can be.

  Why a script: the mark and its event are one write, and the event is said once.

  KEYS[1] hold      string  what is held, for whom
  KEYS[2] outbox    stream  decisions
  KEYS[3] position  string  of the last decision
  KEYS[4] stopped   string  why nothing may be decided

  ARGV[1] reservation_id
  ARGV[2] account_id

  Returns {code, state}
     1  ASKED
     0  ALREADY_ASKED
    -1  UNKNOWN_HOLD   never held here, or somebody else's
    -2  ENDED          its places went back without being asked for
    -3  CONFIRMED      paid for: that is cancelled at booking, not given back here
    -4  STOPPED        the partition waits for its rebuild: ask again
]]
-- @include "clock"
-- @include "announce"
-- @include "holds"
local hold_key, outbox, position, stopped = unpack(KEYS)

-- Look.
if redis.call("EXISTS", stopped) == 1 then return {-4, ""} end
local hold = read_hold(hold_key)
if not hold or hold.account_id ~= ARGV[2] then return {-1, ""} end
if hold.give_back_asked then return {0, hold.state} end
if hold.state == RELEASED then return {-2, hold.state} end
if hold.state == CONFIRMED then return {-3, hold.state} end

-- Take.
announce(outbox, position, {
  "type", "give_back_asked", "slot_id", hold.slot_id, "at_ms", clock_ms(), "reservation_id", ARGV[1],
  "account_id", ARGV[2],
})
hold.give_back_asked = true
write_hold(hold_key, hold)
return {1, hold.state}
