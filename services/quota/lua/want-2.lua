--[[
  Hold places of one partition that booking wants, or refuse them for good: a wish's second step.

  Why a script: the look and the take must be one step, and the hold or the refusal and its
  event one write. Window, channel and closing do not matter to whom booking asks for, and
  places that came back may be had before they are offered; capacity and books matter. What a
  partition has once said to a wish it says for ever: a wish that was passed over finds nothing
  here later, so it can never have places in two partitions however often it is told.

  KEYS[1] position  string  of the last decision; the other keys are in the batch, all of its tag
  KEYS[2] refused   zset    wishes passed over here, by when: for longer than any is good for

  ARGV[1] batch          msgpack: see places; one ask for each slot, tried in order; its own two mean nothing
  ARGV[2] seats          msgpack: numbers of the first slot to be had if they are free
  ARGV[3] pay_by_ms
  ARGV[4] good_until_ms  nothing is taken after it
  ARGV[5] run            which of the wish's tries this is: it may come to a partition twice
  ARGV[6] refusal        why nothing may be taken; empty where it may
  ARGV[7] account_id
  ARGV[8] is_last        1 to tell of the refusal, else 0: other partitions are tried

  Returns {code, slot_id, word}
     1  HELD             slot_id says where
     0  ALREADY_HELD     slot_id says where
    -1  PASSED_OVER      there is nothing here, and never will be: word says why
    -2  REFUSED          the same, and it is told
    -3  ENDED            it was held, and its places went back
    -4  ALREADY_REFUSED
   -10  STOPPED          the partition waits for its rebuild: booking's word has to wait
   -15  BROKEN           a key is not what it should be: word says which
]]
-- @include "clock"
-- @include "announce"
-- @include "places"
local REMEMBERED_MS = 7 * 24 * 3600 * 1000
local WORD = {[CODE.UNKNOWN_SLOT] = "unknown_slot", [CODE.UNBALANCED] = "unbalanced", [CODE.SOLD_OUT] = "sold_out"}
local position_key, refused_key = KEYS[1], KEYS[2]
local reservation_id, hold_key = asks[1], asks[4]
local wanted, refusal, is_last = cmsgpack.unpack(ARGV[2]), ARGV[6], ARGV[8] == "1"
local member = reservation_id .. "|" .. ARGV[5]

-- Numbers above the last one ever given out that a wish has passed over, by slot.
local gaps_of = {}

-- These very numbers, lowest first; nil if one of them is not free.
local function choose_these(number, numbers)
  local books, highest, fresh = books_of[number], numbers[#numbers], 0
  if highest > books[AT_CAPACITY] then return nil end
  local left, among, gaps = {}, {}, {}
  for _, seat in ipairs(numbers) do among[seat] = true end
  for _, seat in ipairs(pool_of[number]) do
    if not among[seat] then left[#left + 1] = seat end
  end
  for seat = books[AT_NEXT_SEAT], highest do
    if among[seat] then fresh = fresh + 1 else gaps[#gaps + 1] = seat end
  end
  if #pool_of[number] - #left + fresh ~= #numbers then return nil end
  taken_of[number], pool_of[number], gaps_of[number] = numbers, left, gaps
  return numbers
end

local function look_at_one(at)
  local number = asks[at + 5]
  local books = look_at_slot(number)
  if broken_slot[number] then return CODE.BROKEN, broken_slot[number] end
  if not books[AT_CHANNEL] then return CODE.UNKNOWN_SLOT end
  -- Everything that came back, whenever it is offered to others.
  open_pool(number, "ZRANGE", 0, -1)
  if broken_slot[number] then return CODE.BROKEN, broken_slot[number] end
  if not balanced_books(books) or #pool_of[number] ~= books[AT_RETURNED] then return CODE.UNBALANCED end
  local count, seats = asks[at + 3], nil
  if books[AT_FREE] < count then return CODE.SOLD_OUT end
  if at == 0 and #wanted == count then seats = choose_these(number, wanted) end
  seats = seats or choose_seats(number, count)
  if not seats then return CODE.SOLD_OUT end
  return (promise(at, number, seats, tonumber(ARGV[3])))
end

-- Look.
look_at_partition(1)
if broken_partition[1] then return {-15, "", broken_partition[1]} end
if stopped[1] then return {-10, "", ""} end
local hold = read_hold(hold_key)
if hold then return {hold.state == RELEASED and -3 or 0, hold.slot_id, hold.state} end
if redis.call("ZSCORE", refused_key, member) then return {is_last and -4 or -1, "", ""} end
if refusal == "" and at_ms > tonumber(ARGV[4]) then refusal = "too_late" end
local at, had, why = 0, nil, refusal
while refusal == "" and at < #asks and not had do
  local code, broken = look_at_one(at)
  if code == CODE.BROKEN then return {-15, "", broken} end
  if code == CODE.HELD then had = granted[2] end
  at, why = at + ASK_WIDTH, WORD[code]
end

-- Take.
if had then
  take_places()
  if silent[1] then return {-15, "", silent[1]} end
  for _, seat in ipairs(gaps_of[had] or {}) do redis.call("ZADD", of_slot(had, AT_RETURNED_KEY), at_ms, seat) end
  return {1, of_slot(had, AT_SLOT_ID), HELD}
end
if is_last then
  announce(of_partition(1, AT_OUTBOX_KEY), position_key, {
    "type", "places_refused", "slot_id", of_slot(#slot_rows / SLOT_WIDTH, AT_SLOT_ID), "at_ms", at_ms,
    "reservation_id", reservation_id, "account_id", ARGV[7], "reason", why,
  })
end
redis.call("ZREMRANGEBYSCORE", refused_key, "-inf", at_ms - REMEMBERED_MS)
redis.call("ZADD", refused_key, at_ms, member)
return {is_last and -2 or -1, "", why}
