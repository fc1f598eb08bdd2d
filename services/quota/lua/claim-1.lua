--[[
  Claim accounts of one tag for their reservations, or say who stands in the way: a cluster's first step.

  Why a script: an account and its persons are looked at and taken in one step. The claim is entered
  again by the same reservation, and every entry gets the next attempt number: only the
  latest one may take the claim back, so a refused twin cannot undo a granted one.

  KEYS[1] pending  zset  claims nobody has looked after yet, by claimed_at_ms

  ARGV[1] batch   msgpack: {reservation_id, account_id, person_ids, claims key, key_hash, slot_id} of each

  Returns msgpack {{code, attempt, number, word} of each, claimed_at_ms}
     1  CLAIMED
     0  ENTERED_AGAIN
    -2  KEY_REUSED                the key stands for another reservation
    -3  ENDED                     this reservation was held, and its places went back: `reserve` has to say more
   -12  ACCOUNT_ALREADY_RESERVED  word is its reservation_id
   -13  PERSON_ALREADY_RESERVED   word is the person_id
   -14  NO_SHOW_BLOCK             word is the person_id, number is until_ms
   -15  BROKEN                    a key is not what it should be: word says which
  Of -12 to -14 `reserve` may know more: that the reservation has ended before the account's last one.
]]
-- @include "clock"
-- @include "claims"
local CODES = {
  CLAIMED = 1, ENTERED_AGAIN = 0, KEY_REUSED = -2, ENDED = -3, ACCOUNT_ALREADY_RESERVED = -12,
  PERSON_ALREADY_RESERVED = -13, NO_SHOW_BLOCK = -14, BROKEN = -15,
}
local pending = KEYS[1]
local asks = cmsgpack.unpack(ARGV[1])
local at_ms = clock_ms()
local results, claims_of = {}, {}

-- Look.
local function look_at(ask)
  local claims, broken = claims_of[ask[4]], nil
  if not claims then
    claims, broken = read_claims(ask[4])
    if broken then return "BROKEN", 0, 0, broken end
    claims_of[ask[4]] = claims
  end
  local why, who, number = in_the_way(claims, ask[1], ask[5], ask[3], at_ms)
  if why then return why, 0, number, who end
  local again = claims.account
  local attempt = again and again[4] + 1 or 1
  claims.account = {ask[1], ask[5], ask[6], attempt}
  return again and "ENTERED_AGAIN" or "CLAIMED", attempt, 0, ""
end

for index, ask in ipairs(asks) do results[index] = {look_at(ask)} end

-- Take.
for index, ask in ipairs(asks) do
  local code = results[index][1]
  if code == "CLAIMED" or code == "ENTERED_AGAIN" then
    local member = table.concat({ask[2], ask[1], ask[6]}, "|")
    write_claims(ask[4], claims_of[ask[4]])
    if code == "CLAIMED" then
      redis.call("ZADD", pending, at_ms, member)
    else
      redis.call("ZADD", pending, "XX", at_ms, member)
    end
  end
  results[index][1] = CODES[code]
end
return cmsgpack.pack({results, at_ms})
