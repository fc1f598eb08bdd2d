--[[
  Stop a partition: its history is not the recorded one, so it sells nothing until it is rebuilt.

  Why a script: the look at the lease and the mark are one step. A relay that has lost the
  lease may be comparing with a watermark of long ago.

  KEYS[1] lease    hash    holder, token
  KEYS[2] stopped  string  why nothing may be decided

  ARGV[1] relay_id
  ARGV[2] token

  Returns code
     1  STOPPED
    -1  STALE    the lease is another's by now: nothing is marked
]]
local lease, stopped = unpack(KEYS)

-- Look.
local known = redis.call("HMGET", lease, "holder", "token")
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return -1 end

-- Take.
-- A rebuild under way has its own mark there, and opens by it.
redis.call("SETNX", stopped, "1")
return 1
