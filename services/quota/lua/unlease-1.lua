--[[
  Give a partition's lease up, if it is still the one meant.

  Why a script: compare and give up are one step. The token stays, for the next holder's to be higher.

  KEYS[1] lease  hash  holder, token, until_ms

  ARGV[1] relay_id
  ARGV[2] token

  Returns code
     1  GIVEN_UP
     0  NOT_HELD
]]
local lease = KEYS[1]

-- Look.
local known = redis.call("HMGET", lease, "holder", "token")
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 0 end

-- Take.
redis.call("HSET", lease, "holder", "", "until_ms", 0)
return 1
