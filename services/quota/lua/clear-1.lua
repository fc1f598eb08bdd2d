--[[
  Allow this server to sell from a partition, or stop it: its history is compared with the newest decision known elsewhere.

  Why a script: the look at the history, at who this server is, and the mark are one step, so
  that no restart and no promotion can come in between. A partition that nobody knows a
  decision of is founded here: without that, no plan is applied to it.

  KEYS[1] seq  hash  epoch, seq, stopped, cleared

  ARGV[1] known_epoch  of the newest decision known elsewhere; empty to look and mark nothing
  ARGV[2] known_seq

  Returns {code, epoch, seq}
     1  CLEARED
     0  UNCLEARED  only looked at
    -1  BEHIND     decisions are missing here: it is stopped now
    -2  STOPPED    it waits for its rebuild
]]
-- @include "identity"
local seq = KEYS[1]
local known_epoch, known_seq = tonumber(ARGV[1]), tonumber(ARGV[2])

-- Look.
local state = redis.call("HMGET", seq, "epoch", "seq", "stopped", "cleared")
local epoch, number = tonumber(state[1]) or 0, tonumber(state[2]) or 0
if state[3] then return {-2, epoch, number} end
local here = identity()
local is_cleared = state[4] == here
if not known_epoch then return {is_cleared and 1 or 0, epoch, number} end
local is_behind = epoch < known_epoch or (epoch == known_epoch and number < known_seq)

-- Take.
if is_behind then
  redis.call("HSET", seq, "stopped", "behind")
  redis.call("HDEL", seq, "cleared")
  return {-1, epoch, number}
end
if not is_cleared then redis.call("HSET", seq, "cleared", here, "epoch", math.max(epoch, 1)) end
return {1, epoch, number}
