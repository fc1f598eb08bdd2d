--[[
  Claim an account for places that booking wants, or say who stands in the way: a wish's first step.

  Why a script: an account and its persons are looked at and taken in one step. Where the wish
  replaces the active reservation, that one keeps the account, and the wish waits to inherit it:
  nobody else gets in between, and a wish that is refused leaves everything as it was. Nothing
  sweeps this claim. The same wish, told again, enters it again and sees it through.

  KEYS[1] claims  string  what the account is reserved for

  ARGV[1] reservation_id
  ARGV[2] replaces       the reservation that may be active; empty for none
  ARGV[3] slot_id        the first that will be tried
  ARGV[4] persons        msgpack
  ARGV[5] good_until_ms  no new claim is made after it
  ARGV[6] heed_blocks    1 where a no-show block stands in the way, else 0

  Returns {code, word}
     1  CLAIMED
     0  ENTERED_AGAIN
    -3  ENDED                    it was held, and its places went back
   -12  ACCOUNT_ALREADY_RESERVED  word is the reservation_id in the way
   -13  PERSON_ALREADY_RESERVED   word is the person_id
   -14  NO_SHOW_BLOCK             word is the person_id
   -16  TOO_LATE
]]
-- @include "clock"
-- @include "claims"
local claims_key = KEYS[1]
local reservation_id, replaces = ARGV[1], ARGV[2]

-- Look.
local claims, broken = read_claims(claims_key)
if broken then return redis.error_reply(broken) end
local active, heir, last, at_ms = claims.account, claims.heir, claims.last, clock_ms()
if (active and active[1] == reservation_id) or (heir and heir[1] == reservation_id) then return {0, ""} end
if last and last[1] == reservation_id then return {-3, ""} end
if at_ms > tonumber(ARGV[5]) then return {-16, ""} end
if active and active[1] ~= replaces then return {-12, active[1]} end
if heir then return {-12, heir[1]} end
for _, person_id in ipairs(cmsgpack.unpack(ARGV[4])) do
  local word = claims.persons and claims.persons[person_id]
  local until_ms = blocked_until_ms(word)
  if until_ms and until_ms > at_ms and ARGV[6] == "1" then return {-14, person_id} end
  if word and not until_ms and word ~= replaces then return {-13, person_id} end
end

-- Take.
claims[active and "heir" or "account"] = {reservation_id, "", ARGV[3], 0}
write_claims(claims_key, claims)
return {1, ""}
