--[[
  Block the persons of a family that did not come, or lift that block.

  Why a script: claims are read, changed and written as one. A block ends by the clock of the
  server that looks at it. Where two block a person the longer one stands; blocks that are over go.

  KEYS[1] claims  string  what the account is reserved for

  ARGV[1] reservation_id  whose persons did not come: the block is lifted under the same id
  ARGV[2] until_ms        0 to lift it
  ARGV[3] persons         msgpack

  Returns code
     1  BLOCKED
     2  LIFTED
     0  UNCHANGED  it was so before, is over, or is another's
]]
-- @include "clock"
-- @include "claims"
local claims_key = KEYS[1]
local reservation_id, until_ms = ARGV[1], tonumber(ARGV[2])

-- Look.
local claims, broken = read_claims(claims_key)
if broken then return redis.error_reply(broken) end
local at_ms, changed, persons = clock_ms(), false, claims.persons or {}
local ours = ":" .. reservation_id
for _, person_id in ipairs(cmsgpack.unpack(ARGV[3])) do
  local word = persons[person_id]
  local known_ms = blocked_until_ms(word)
  if until_ms > at_ms and until_ms > (known_ms or 0) then
    persons[person_id], changed = "block:" .. ARGV[2] .. ours, true
  elseif known_ms and (known_ms <= at_ms or (until_ms == 0 and string.sub(word, -#ours) == ours)) then
    persons[person_id], changed = nil, true
  end
end
if not changed then return 0 end

-- Take.
claims.persons = next(persons) and persons or nil
write_claims(claims_key, claims)
return until_ms > at_ms and 1 or 2
