--[[
  Let go of the decisions of a partition that are recorded elsewhere.

  Why a script: the look at the lease and the trimming are one step. A relay that has lost
  the lease without knowing it must not throw anything away.

  KEYS[1] lease   hash    holder, token
  KEYS[2] outbox  stream  decisions

  ARGV[1] relay_id
  ARGV[2] token
  ARGV[3] keep_from  id of the first entry to keep

  Returns {code, trimmed}
     1  TRIMMED
    -1  STALE    the lease is another's by now: nothing is trimmed
]]
local lease, outbox = unpack(KEYS)

-- Look.
local known = redis.call("HMGET", lease, "holder", "token")
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return {-1, 0} end

-- Take.
return {1, redis.call("XTRIM", outbox, "MINID", "=", ARGV[3])}
