--[[
  Enter a relay among those that are there, and strike those that have not been heard of for a lease.

  Why a script: entering, striking and listing are one step by the server's clock.

  KEYS[1] relays  zset  relay ids by until_ms

  ARGV[1] relay_id
  ARGV[2] lease_ms  0 to leave

  Returns {code, relay_ids}  the ids of those that are there
     1  ENROLLED
     0  LEFT
]]
-- @include "clock"
local relays = KEYS[1]
local at_ms, lease_ms = clock_ms(), tonumber(ARGV[2])
redis.call("ZADD", relays, at_ms + lease_ms, ARGV[1])
redis.call("ZREMRANGEBYSCORE", relays, "-inf", at_ms)
return {lease_ms > 0 and 1 or 0, redis.call("ZRANGE", relays, 0, -1)}
