--[[
  Give an account to the places booking wanted for it, or the claim back: a wish's third step.

  Why a script: what was active ends and what inherits begins in one step. Only the wish's own
  claim is touched, whatever has become of the account meanwhile; again it changes nothing.

  KEYS[1] claims  string  what the account is reserved for

  ARGV[1] reservation_id
  ARGV[2] slot_id   where its places are; empty if there are none
  ARGV[3] ended     1 to remember it as the account's last reservation, else 0

  Returns code
     1  HANDED_OVER  the account is the wish's
     0  GIVEN_BACK   the account is whose it was
    -1  NOT_CLAIMED  the wish has no claim any more
]]
-- @include "claims"
local claims_key = KEYS[1]
local reservation_id, slot_id = ARGV[1], ARGV[2]

-- Look.
local claims, broken = read_claims(claims_key)
if broken then return redis.error_reply(broken) end
local active, heir = claims.account, claims.heir
local is_active, is_heir = active and active[1] == reservation_id, heir and heir[1] == reservation_id
if not is_active and not is_heir then return -1 end
if slot_id ~= "" and is_heir then
  for person_id, word in pairs(claims.persons or {}) do
    if word == active[1] then claims.persons[person_id] = reservation_id end
  end
  claims.account, claims.last = heir, {active[1], active[2], active[3]}
elseif slot_id == "" and is_active then
  claims.account = nil
  if ARGV[3] == "1" then claims.last = {active[1], active[2], active[3]} end
end
if is_heir then claims.heir = nil end
if slot_id ~= "" then claims.account[3] = slot_id end

-- Take.
write_claims(claims_key, claims)
return slot_id ~= "" and 1 or 0
