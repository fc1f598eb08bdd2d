--[[
  Open a rebuilt partition: a new epoch, its first facts, and leave to sell.

  Why a script: whoever reads the stream sees the new epoch with all its facts or the old one. What the old
  stream still held is in the snapshot or among the facts. Refused once another rebuild has begun.

  KEYS[1] outbox  stream  one entry per decision
  KEYS[2] seq     hash    epoch, seq, stopped, cleared

  ARGV[1] mark         of the rebuild, as `stopped` has it
  ARGV[2] epoch_known  the newest anybody knows of
  ARGV[3] facts        msgpack: the fields of each; one that is an array is said as msgpack

  Returns {code, epoch, seq}
     1  REOPENED
    -1  NOT_YOURS  the partition is not stopped for this rebuild: nothing is written
]]
-- @include "announce"
-- @include "identity"
local outbox, seq = KEYS[1], KEYS[2]

-- Look.
local state = redis.call("HMGET", seq, "stopped", "epoch")
if state[1] ~= ARGV[1] then return {-1, 0, 0} end
local epoch = math.max(tonumber(state[2]) or 0, tonumber(ARGV[2])) + 1
local facts = cmsgpack.unpack(ARGV[3])

-- Take.
redis.call("DEL", outbox)
redis.call("HSET", seq, "epoch", epoch, "seq", 0)
for _, fact in ipairs(facts) do
  for index, field in ipairs(fact) do
    if type(field) == "table" then fact[index] = cmsgpack.pack(field) end
  end
  announce(outbox, seq, fact)
end
redis.call("HSET", seq, "cleared", identity())
redis.call("HDEL", seq, "stopped")
return {1, epoch, #facts}
