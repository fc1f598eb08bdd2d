-- Say one fact in the partition's stream, under the next number of its epoch.
-- Called before any other write: if the stream were ahead of the counter, XADD fails
-- and the script ends with nothing written, instead of half a decision.
local function announce(outbox, seq, fact)
  local at = redis.call("HMGET", seq, "epoch", "seq")
  local epoch, number = at[1] or "1", (tonumber(at[2]) or 0) + 1
  redis.call("XADD", outbox, epoch .. "-" .. number, unpack(fact))
  redis.call("HSET", seq, "epoch", epoch, "seq", number)
end
