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
-- Of an account that has places by this pass: its claims, as a table or as the text they are to be.
local claims_of = {}

-- Look. Most accounts have no claims yet: theirs become what the ask brought along, as it is.
local function look_at(at, text_at)
  local claimed = claims_of[asks[at + 6]]
  local claims = claimed
  if not claimed then
    local text, broken = look_at_text(text_at + 1, asks[at + 6])
    claims = text and unpacked(text) or false
    if text and not claims then broken = "no claims can be read from " .. asks[at + 6] end
    if broken then return CODE.BROKEN, NO_SEATS, 0, broken end
  elseif type(claimed) == "string" then
    claims = cmsgpack.unpack(claimed)
  end
  local why, who, number
  if claims then
    local wanted = cmsgpack.unpack(asks[at + 7]).account
    local _, _, persons = cmsgpack.unpack(asks[at + 2])
    why, who, number = in_the_way(claims, asks[at + 1], wanted[2], persons, at_ms)
    if why == "KEY_REUSED" then return CODE.KEY_REUSED, NO_SEATS, 0, "" end
  end
  -- Claims know the last one that ended; an earlier one is known by its hold alone.
  local known, seats, pay_by_ms, state = look_at_hold(at, text_at, why == "ENDED")
  if known then return known, seats, pay_by_ms, state end
  if why then return CODE[why], NO_SEATS, number, who end
  if claimed then return CODE.CLAIM_TOO_OLD, NO_SEATS, 0, "" end
  local code, chosen, deadline_ms, word = look_at_places(at)
  if code == CODE.HELD then
    if claims and not claims.account then claims.account = cmsgpack.unpack(asks[at + 7]).account end
    claims_of[asks[at + 6]] = claims or asks[at + 7]
  end
  return code, chosen, deadline_ms, word
end

look_at_texts(6)
local results = look_at_all(look_at)

-- Take.
take_places(function(at)
  local claims = claims_of[asks[at + 6]]
  return asks[at + 6], type(claims) == "table" and cmsgpack.pack(claims) or claims
end)
return answer(results)
