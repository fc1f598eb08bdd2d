--[[
  Hold a partition's lease: renew it, take it if it is free and wanted, or say how it stands.

  Why a script: the look and the take are one step by the server's clock, or two relays both
  see a lease that has run out. Every new holder gets the next token. A holder whose lease
  ran out unnoticed keeps his token: nobody was in between.

  KEYS[1] lease  hash  holder, token, until_ms; never expires, so that no token comes twice

  ARGV[1] relay_id
  ARGV[2] lease_ms
  ARGV[3] wanted    1 to take it if it is free, else 0

  Returns {code, token}
     2  TAKEN
     1  RENEWED
     0  FREE      nobody's, and not wanted
    -1  ELSEWHERE  another relay has it
]]
-- @include "clock"
local lease = KEYS[1]
local relay_id, at_ms = ARGV[1], clock_ms()

-- Look.
local known = redis.call("HMGET", lease, "holder", "token", "until_ms")
local holder, token, until_ms = known[1] or "", tonumber(known[2]) or 0, tonumber(known[3]) or 0
if holder ~= relay_id then
  if holder ~= "" and until_ms > at_ms then return {-1, token} end
  if ARGV[3] ~= "1" then return {0, token} end
end

-- Take.
local code = 1
if holder ~= relay_id then code, token = 2, token + 1 end
redis.call("HSET", lease, "holder", relay_id, "token", token, "until_ms", at_ms + tonumber(ARGV[2]))
return {code, token}
