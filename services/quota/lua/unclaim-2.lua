--[[
  Take a claim back, if it is still the one meant.

  Why a script: compare and delete are one step. A refused request names its attempt, so
  that a later entry of the same reservation keeps the claim. The sweep names the moment
  before which the claim must have been made. Booking's word needs neither. Whoever waits to
  inherit the account has it at once, so that nobody else gets in between.

  KEYS[1] claims   string  what the account is reserved for
  KEYS[2] pending  zset    claims nobody has looked after yet, by claimed_at_ms

  ARGV[1] reservation_id
  ARGV[2] member             of pending
  ARGV[3] attempt            or empty for any
  ARGV[4] claimed_before_ms  or empty for any
  ARGV[5] ended              1 to remember it as the account's last reservation, else 0

  Returns code
     1  UNCLAIMED
     0  NOT_CLAIMED   somebody took it back before, or the claim is another's
    -1  STILL_WANTED  a later attempt has entered it
]]
-- @include "claims"
local claims_key, pending = unpack(KEYS)
local reservation_id, member = ARGV[1], ARGV[2]

-- Look.
local claims, broken = read_claims(claims_key)
if broken then return redis.error_reply(broken) end
local active = claims.account
local is_ours = active and active[1] == reservation_id
if is_ours then
  if ARGV[3] ~= "" and tostring(active[4]) ~= ARGV[3] then return -1 end
  local claimed_at_ms = tonumber(redis.call("ZSCORE", pending, member))
  if ARGV[4] ~= "" and (not claimed_at_ms or claimed_at_ms > tonumber(ARGV[4])) then return -1 end
end
local persons = 0
for person_id, word in pairs(claims.persons or {}) do
  if word == reservation_id then
    claims.persons[person_id] = nil
    persons = persons + 1
  end
end
if claims.persons and not next(claims.persons) then claims.persons = nil end

-- Take.
redis.call("ZREM", pending, member)
if not is_ours and persons == 0 then return 0 end
if is_ours then
  claims.account, claims.heir = claims.heir, nil
  if ARGV[5] == "1" then claims.last = {active[1], active[2], active[3]} end
end
write_claims(claims_key, claims)
return 1
