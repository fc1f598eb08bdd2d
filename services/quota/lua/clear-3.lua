--[[
  Allow this server to sell from a partition, or stop it: its history is compared with the newest decision known elsewhere.

  Why a script: the look at the history, at who this server is, and the mark are one step, so
  that no restart and no promotion can come in between. A partition that nobody knows a
  decision of is founded here: without that, no plan is applied to it.

  KEYS[1] position  string  of the last decision
  KEYS[2] stopped   string  why nothing may be decided
  KEYS[3] cleared   string  the server whose history has been compared

  ARGV[1] known_epoch  of the newest decision known elsewhere; empty to look and mark nothing
  ARGV[2] known_seq

  Returns {code, epoch, seq}
     1  CLEARED
     0  UNCLEARED  only looked at
    -1  BEHIND     decisions are missing here: it is stopped now
    -2  STOPPED    it waits for its rebuild
]]
-- @include "identity"
-- @include "position"
local position, stopped, cleared = unpack(KEYS)
local known_epoch, known_seq = tonumber(ARGV[1]), tonumber(ARGV[2])

-- Look.
local epoch, seq = read_position(position)
if redis.call("EXISTS", stopped) == 1 then return {-2, epoch, seq} end
local here = identity()
local is_cleared = redis.call("GET", cleared) == here
if not known_epoch then return {is_cleared and 1 or 0, epoch, seq} end
local is_behind = epoch < known_epoch or (epoch == known_epoch and seq < known_seq)

-- Take.
if is_behind then
  redis.call("SET", stopped, "behind")
  redis.call("DEL", cleared)
  return {-1, epoch, seq}
end
if not is_cleared then redis.call("SET", cleared, here) end
if epoch == 0 then redis.call("SET", position, "1-0") end
return {1, epoch, seq}
