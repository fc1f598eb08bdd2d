--[[
  Open a rebuilt partition: a new epoch, its first facts, and leave to sell.

  Why a script: whoever reads the stream sees the new epoch with all its facts or the old one. What the old
  stream still held is in the snapshot or among the facts. Refused once another rebuild has begun.

  KEYS[1] outbox    stream  decisions
  KEYS[2] position  string  of the last decision
  KEYS[3] stopped   string  the mark of the rebuild it waits for
  KEYS[4] cleared   string  the server whose history has been compared

  ARGV[1] mark         of the rebuild, as `stopped` has it
  ARGV[2] epoch_known  the newest anybody knows of
  ARGV[3] facts        msgpack: the fields of each; one that is an array is said as msgpack

  Returns {code, epoch, seq}
     1  REOPENED
    -1  NOT_YOURS  the partition is not stopped for this rebuild: nothing is written
]]
-- @include "position"
-- @include "identity"
local outbox, position, stopped, cleared = unpack(KEYS)

-- Look.
if redis.call("GET", stopped) ~= ARGV[1] then return {-1, 0, 0} end
local epoch = math.max(position_of(redis.call("GET", position)) or 0, tonumber(ARGV[2])) + 1
local facts = cmsgpack.unpack(ARGV[3])

-- Take.
redis.call("DEL", outbox)
for seq, fact in ipairs(facts) do
  for index, field in ipairs(fact) do
    if type(field) == "table" then fact[index] = cmsgpack.pack(field) end
  end
  redis.call("XADD", outbox, epoch .. "-" .. seq, unpack(fact))
end
redis.call("SET", position, epoch .. "-" .. #facts)
redis.call("SET", cleared, identity())
redis.call("DEL", stopped)
return {1, epoch, #facts}
