-- @include "unpacked"
-- What an account is reserved for, as one msgpack map under the account's own tag:
--   account = {reservation_id, key_hash, slot_id, attempt}   the active reservation
--   heir    = {reservation_id, key_hash, slot_id, attempt}   who has it after the active one, if it gets places
--   last    = {reservation_id, key_hash, slot_id}            the one before it, ended
--   persons = {person_id = "block:<until_ms>:<reservation_id>" or the reservation_id that has the person elsewhere}
-- A person belongs to one account, so the account's claim is the claim of its persons; only
-- what holds beyond it, a block or a reservation made under another account, is written down.

-- The map, or nil and why there is none to be trusted.
local function read_claims(key)
  local text = redis.pcall("GET", key)
  if type(text) == "table" then return nil, text.err end
  if not text then return {} end
  local claims = unpacked(text)
  if not claims then return nil, "no claims can be read from " .. key end
  return claims
end

local function write_claims(key, claims)
  if claims.account or claims.last or claims.persons then
    redis.call("SET", key, cmsgpack.pack(claims))
  else
    redis.call("DEL", key)
  end
end

-- Until when a word about a person blocks it; nil for a word that is no block.
local function blocked_until_ms(word) return word and tonumber(string.match(word, "^block:(%d+)")) end

-- Who stands in the way of a reservation: a word, a detail and a number; nil if nobody does.
-- ENDED is no refusal yet: the tombstone of its hold has to say whether the body was the same.
local function in_the_way(claims, reservation_id, key_hash, persons, at_ms)
  local active, last = claims.account, claims.last
  if active and active[2] == key_hash and active[1] ~= reservation_id then return "KEY_REUSED", "", 0 end
  if last and last[2] == key_hash and last[1] ~= reservation_id then return "KEY_REUSED", "", 0 end
  if active and active[1] == reservation_id then return nil end
  if last and last[1] == reservation_id then return "ENDED", "", 0 end
  if active then return "ACCOUNT_ALREADY_RESERVED", active[1], 0 end
  if not claims.persons then return nil end
  for _, person_id in ipairs(persons) do
    local word = claims.persons[person_id]
    local until_ms = blocked_until_ms(word)
    if until_ms and until_ms > at_ms then return "NO_SHOW_BLOCK", person_id, until_ms end
    if word and not until_ms and word ~= reservation_id then return "PERSON_ALREADY_RESERVED", person_id, 0 end
  end
end
