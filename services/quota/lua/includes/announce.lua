-- @include "position"
-- Say one fact in the partition's stream, under the next number of its epoch.
-- Called before any other write: if the stream were ahead of the position, XADD fails
-- and the script ends with nothing written, instead of half a decision.
local function announce(outbox, position_key, fact)
  local epoch, seq = read_position(position_key)
  local at = math.max(epoch, 1) .. "-" .. (seq + 1)
  redis.call("XADD", outbox, at, unpack(fact))
  redis.call("SET", position_key, at)
end
