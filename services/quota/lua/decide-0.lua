--[[
  Decide what a pass of a worker has collected, on a single node: claims and places in one step.

  Why a script: an account's claim, the places and the event are looked at and taken together,
  so nothing can stand between them, and a crash leaves no claim without its hold. A look
  at the hold comes first, so every refusal but ENDED and KEY_REUSED means that there is none.
  Its keys are in the batch, of many hash tags: a cluster runs `claim` and `reserve` instead.

  ARGV[1] batch   msgpack: see places; an ask's own two are its claims key, and its claims as they are to be

  Returns msgpack {results, sold_out, at_ms}
    results   flat, of each ask: code, seats, number, word; of a held one number is pay_by_ms, word its state
    sold_out  {number of the slot, offered now, until_ms, takers} of each slot that refused somebody so
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
local claims_of, claimed_now, to_claim, held, results = {}, {}, {}, {}, {}

-- Look. Most accounts have no claims yet: theirs become what the ask brought along, as it is.
local function look_at(at)
  local reservation_id, claims_key = asks[at + 1], asks[at + 6]
  local claims = claims_of[claims_key]
  if claimed_now[claims_key] then
    claims = cmsgpack.unpack(claimed_now[claims_key])
  elseif claims == nil then
    local text, broken = look_at_text(claims_key)
    claims = text and unpacked(text) or false
    if broken or (text and not claims) then
      return CODE.BROKEN, NO_SEATS, 0, broken or "no claims can be read from " .. claims_key
    end
    claims_of[claims_key] = claims
  end
  local why, who, number
  if claims then
    local wanted = cmsgpack.unpack(asks[at + 7]).account
    local _, _, persons = cmsgpack.unpack(asks[at + 2])
    why, who, number = in_the_way(claims, reservation_id, wanted[2], persons, at_ms)
    if why == "KEY_REUSED" then return CODE.KEY_REUSED, NO_SEATS, 0, "" end
  end
  -- Claims know the last one that ended; an earlier one is known by its hold alone.
  local known, seats, pay_by_ms, state = look_at_hold(at, why == "ENDED")
  if known then return known, seats, pay_by_ms, state end
  if why then return CODE[why], NO_SEATS, number, who end
  if held[reservation_id] then return CODE.CLAIM_TOO_OLD, NO_SEATS, 0, "" end
  local code, chosen, deadline_ms, word = look_at_places(at)
  if code == CODE.HELD then
    held[reservation_id] = true
    if not claims then
      to_claim[claims_key] = asks[at + 7]
      claims_of[claims_key] = nil
      claimed_now[claims_key] = asks[at + 7]
    elseif not claims.account then
      claims.account = cmsgpack.unpack(asks[at + 7]).account
      to_claim[claims_key] = cmsgpack.pack(claims)
    end
  end
  return code, chosen, deadline_ms, word
end

look_at_texts(function(at, keys) keys[#keys + 1], keys[#keys + 2] = asks[at + 4], asks[at + 6] end)
for at = 0, #asks - 1, ASK_WIDTH do
  local index = #results
  results[index + 1], results[index + 2], results[index + 3], results[index + 4] = look_at(at)
end

-- Take.
take_places(function(at, written)
  local claims_key = asks[at + 6]
  if to_claim[claims_key] then written[#written + 1], written[#written + 2] = claims_key, to_claim[claims_key] end
end)
return answer(results)
