--[[
  Take a claim back, if it is still the one meant.

  Why a script: compare and delete are one step. A refused request names its attempt, so
  that a later entry of the same reservation keeps the claim. The sweep names the moment
  before which the claim must have been made. Booking's word needs neither.

  KEYS[1] claims   hash  account, last, attempt, p:<person_id>
  KEYS[2] pending  zset  claims nobody has looked after yet, by claimed_at_ms

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
local claims, pending = unpack(KEYS)
local reservation_id, member = ARGV[1], ARGV[2]

-- Look.
local rows = redis.call("HGETALL", claims)
local fields, owned = {}, {}
for index = 1, #rows, 2 do
  fields[rows[index]] = rows[index + 1]
  if rows[index + 1] == reservation_id then owned[#owned + 1] = rows[index] end
end
local account = fields["account"]
local is_ours = account and string.sub(account, 1, #reservation_id + 1) == reservation_id .. "|"
if is_ours then
  if ARGV[3] ~= "" and fields["attempt"] ~= ARGV[3] then return -1 end
  local claimed_at_ms = tonumber(redis.call("ZSCORE", pending, member))
  if ARGV[4] ~= "" and (not claimed_at_ms or claimed_at_ms > tonumber(ARGV[4])) then return -1 end
  owned[#owned + 1] = "account"
end

-- Take.
redis.call("ZREM", pending, member)
if #owned == 0 then return 0 end
redis.call("HDEL", claims, unpack(owned))
if is_ours and ARGV[5] == "1" then redis.call("HSET", claims, "last", account) end
return 1
