-- Where a partition's history stands: `<epoch>-<seq>`, the id its last decision has in the stream.

-- Epoch and seq; 0 and 0 before the first, nil where there is no telling.
local function position_of(text)
  if not text then return 0, 0 end
  local epoch, seq = string.match(text, "^(%d+)-(%d+)$")
  return tonumber(epoch), tonumber(seq)
end

local function read_position(key)
  local epoch, seq = position_of(redis.call("GET", key))
  if not epoch then error("no position can be read from " .. key) end
  return epoch, seq
end
