--[[
  Claim an account and its persons for one reservation, or say who stands in the way.

  Why a script: all persons are looked at and taken in one step. The claim is entered
  again by the same reservation, and every entry gets the next attempt number: only the
  latest one may take the claim back, so a refused twin cannot undo a granted one.

  KEYS[1] claims   hash  account, last, attempt, p:<person_id>
  KEYS[2] pending  zset  claims nobody has looked after yet, by claimed_at_ms

  ARGV[1] reservation_id
  ARGV[2] key_hash       of the Idempotency-Key
  ARGV[3] slot_id
  ARGV[4] fingerprint    of slot and persons
  ARGV[5] account_id
  ARGV[6] and on: person_ids

  Returns {code, detail, number, claimed_at_ms}
     1  CLAIMED                   number is the attempt
     0  ENTERED_AGAIN             number is the attempt
    -1  ACCOUNT_ALREADY_RESERVED  detail is its reservation_id
    -2  KEY_REUSED                the key stands for another reservation or body
    -3  PERSON_ALREADY_RESERVED   detail is the person_id
    -4  NO_SHOW_BLOCK             detail is the person_id, number is until_ms
    -5  ENDED                     this reservation was held, and its places went back
]]
-- @include "clock"
local claims, pending = unpack(KEYS)
local reservation_id, key_hash, fingerprint = ARGV[1], ARGV[2], ARGV[4]
local claim = table.concat({reservation_id, key_hash, ARGV[3], fingerprint}, "|")
local member = table.concat({ARGV[5], reservation_id, ARGV[3]}, "|")
local at_ms = clock_ms()

local function split_claim(text)
  local parts = {}
  for part in string.gmatch(text, "[^|]+") do parts[#parts + 1] = part end
  return parts
end

-- Look.
local known = redis.call("HMGET", claims, "account", "last")
for _, text in ipairs({known[1] or "", known[2] or ""}) do
  local other = split_claim(text)
  if other[2] == key_hash and text ~= claim then return {-2, "", 0, at_ms} end
end
if known[1] == claim then
  redis.call("ZADD", pending, "XX", at_ms, member)
  return {0, "", redis.call("HINCRBY", claims, "attempt", 1), at_ms}
end
if known[2] == claim then return {-5, "", 0, at_ms} end
if known[1] then return {-1, split_claim(known[1])[1], 0, at_ms} end
local fields = {"account", claim}
for index = 6, #ARGV do
  local holder = redis.call("HGET", claims, "p:" .. ARGV[index])
  local until_ms = holder and tonumber(string.match(holder, "^block:(%d+)$"))
  if until_ms and until_ms > at_ms then return {-4, ARGV[index], until_ms, at_ms} end
  if holder and not until_ms and holder ~= reservation_id then return {-3, ARGV[index], 0, at_ms} end
  fields[#fields + 1] = "p:" .. ARGV[index]
  fields[#fields + 1] = reservation_id
end

-- Take.
redis.call("HSET", claims, unpack(fields))
redis.call("ZADD", pending, at_ms, member)
return {1, "", redis.call("HINCRBY", claims, "attempt", 1), at_ms}
