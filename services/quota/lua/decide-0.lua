--[[
  Decide what a pass of a worker has collected, on a single node: claims and places in one step.

  Why a script: an account's claim, the places and the event are looked at and taken together,
  so nothing can stand between them, and a crash leaves no claim without its hold. A look
  at the hold comes first, so every refusal but ENDED and KEY_REUSED means that there is none.
  Its keys are in the batch, of many hash tags: a cluster runs `claim` and `reserve` instead.

  ARGV[1] batch   msgpack: see places; an ask goes on with claims key, key_hash

  Returns msgpack {results, sold_out, at_ms}
    result    {code, seats, number, word}; of a held one number is pay_by_ms, word its state
    sold_out  {index of the slot, offered now, until_ms, takers} of each slot that refused somebody so
      1  HELD
      0  ALREADY_HELD
     -1  UNKNOWN_SLOT
     -2  KEY_REUSED          the key stands for another reservation or body
     -3  ENDED               it was held, and its places went back
     -4  CHANNEL_NOT_PUBLIC  such places are given out by officers
     -5  SLOT_CLOSED
     -6  WINDOW_NOT_OPEN     number is opens_at_ms
     -7  WINDOW_CLOSED
     -8  SOLD_OUT            number is how many are free
     -9  CLAIM_TOO_OLD       the batch has it twice: ask again
    -10  STOPPED             the partition sells nothing until it is rebuilt
    -11  UNBALANCED          the books do not add up: nothing is written
    -12  ACCOUNT_ALREADY_RESERVED  word is its reservation_id
    -13  PERSON_ALREADY_RESERVED   word is the person_id
    -14  NO_SHOW_BLOCK             word is the person_id, number is until_ms
    -15  BROKEN              a key is not what it should be: word says which
]]
-- @include "clock"
-- @include "claims"
-- @include "places"
-- @include "answers"
local batch = cmsgpack.unpack(ARGV[1])
local partitions, slots, asks = batch[1], batch[2], batch[3]
local at_ms = clock_ms()
local results, claims_of, to_claim, held = {}, {}, {}, {}

-- Look.
local function look_at(ask)
  local claims_key, reservation_id = ask[6], ask[1]
  local claims, broken = claims_of[claims_key], nil
  if not claims then
    claims, broken = read_claims(claims_key)
    if broken then return "BROKEN", {}, 0, broken end
    claims_of[claims_key] = claims
  end
  local why, who, number = in_the_way(claims, reservation_id, ask[7], ask[3], at_ms)
  if why and why ~= "ENDED" then return why, {}, number, who end
  local known, seats, pay_by_ms, state = look_at_hold(ask, why == "ENDED")
  if known then return known, seats, pay_by_ms, state end
  if held[reservation_id] then return "CLAIM_TOO_OLD", {}, 0, "" end
  local slot = look_at_slot(slots[ask[5]])
  local code, chosen, deadline_ms, word = look_at_places(ask, slot, look_at_partition(partitions[slot[6]]), at_ms)
  held[reservation_id] = code == "HELD"
  if held[reservation_id] and not claims.account then
    claims.account = {reservation_id, ask[7], slot.slot_id, 0}
    to_claim[#to_claim + 1] = ask
  end
  return code, chosen, deadline_ms, word
end

for index, ask in ipairs(asks) do results[index] = {look_at(ask)} end

-- Take.
local silent = take_places(partitions, slots, at_ms)
for _, ask in ipairs(to_claim) do
  if not silent[partitions[slots[ask[5]][6]]] then write_claims(ask[6], claims_of[ask[6]]) end
end
return answer(results, asks, slots, partitions, silent, at_ms)
