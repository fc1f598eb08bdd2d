--[[
  Lay down holds and claims of one slot as the product has written one of them: the same bytes under other ids.

  Why a script: millions of records are laid down in minutes, and none of them crosses the wire.
  Called by the bench between volleys, on a single node of its own.

  KEYS[1] books    string   of the slot, as msgpack
  KEYS[2] takers   string   eight characters of every reservation
  KEYS[3] hold     string   the model; its key without the last 32 characters is the prefix of the others'

  ARGV[1] hold          the model as msgpack, of this slot
  ARGV[2] claims        the claims of its account
  ARGV[3] claims_prefix
  ARGV[4] account       32 characters that the ids of account and persons share
  ARGV[5] reservation   32 characters
  ARGV[6] first         number of the first record
  ARGV[7] count
  ARGV[8] partitions

  Returns how many were laid down
]]
local first, count, partitions = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local hold_prefix, claims_prefix = string.sub(KEYS[3], 1, -33), {}
for tag = 0, partitions - 1 do claims_prefix[tag] = string.format(ARGV[3], tag) end

-- What stands between the ids of the model: put together again with another id, it is another record.
local function around(pieces, id)
  local found = {}
  for _, piece in ipairs(pieces) do
    local from = 1
    while true do
      local at, last = string.find(piece, id, from, true)
      found[#found + 1] = string.sub(piece, from, (at or 0) - 1)
      if not at then break end
      from = last + 1
    end
  end
  return found
end

local hold = around({ARGV[1]}, ARGV[4])
local claims = around(around({ARGV[2]}, ARGV[5]), ARGV[4])
local takers, records, concat, call = {}, {}, table.concat, redis.call
-- Lua's stack has room for eight times as many.
local WORDS_PER_WRITE = 1000
local function write()
  call("MSET", unpack(records))
  records = {}
end

for number = first, first + count - 1 do
  local start = string.format("%08x", number)
  local name, at = start .. "ffffffffffffffff00000000", #records
  records[at + 1], records[at + 2] = hold_prefix .. name, concat(hold, name)
  records[at + 3], records[at + 4] = claims_prefix[number % partitions] .. name, concat(claims, name)
  takers[#takers + 1] = start
  if #records == WORDS_PER_WRITE then write() end
end
if #records > 0 then write() end
call("APPEND", KEYS[2], concat(takers))
-- Books as the scripts of quota keep them: free, held and next_seat are the third, fourth and eighth.
local books = cmsgpack.unpack(call("GET", KEYS[1]))
books[3], books[4], books[8] = books[3] - count, books[4] + count, books[8] + count
call("SET", KEYS[1], cmsgpack.pack(books))
return count
