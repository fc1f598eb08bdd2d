-- Seat numbers: choosing them for a family, and sharing unused ones out.

-- The lowest run of `count` neighbours among what may be offered, else the lowest `count`; nil if there are too few.
local function choose_seats(returned, ledger, count, at_ms)
  local pool = {}
  if ledger.returned > 0 then
    for _, seat in ipairs(redis.call("ZRANGEBYSCORE", returned, "-inf", at_ms)) do
      pool[#pool + 1] = tonumber(seat)
    end
    table.sort(pool)
  end
  for seat = ledger.next_seat, math.min(ledger.capacity, ledger.next_seat + count - 1) do
    pool[#pool + 1] = seat
  end
  if #pool < count then return nil end
  local first = 1
  for start = 1, #pool - count + 1 do
    if pool[start + count - 1] - pool[start] == count - 1 then
      first = start
      break
    end
  end
  local seats = {}
  for index = first, first + count - 1 do seats[#seats + 1] = pool[index] end
  return seats
end

-- Every unused seat below next_seat with the moment from which it may be offered, lowest first.
local function unused_seats(returned, withheld, coming_back, at_ms)
  local unused = {}
  for _, key in ipairs({returned, withheld}) do
    local rows = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
    for index = 1, #rows, 2 do
      unused[#unused + 1] = {seat = tonumber(rows[index]), offer_at_ms = rows[index + 1]}
    end
  end
  for _, seat in ipairs(coming_back) do unused[#unused + 1] = {seat = seat, offer_at_ms = at_ms} end
  table.sort(unused, function(one, other) return one.seat < other.seat end)
  return unused
end

-- The lowest `returned_count` of the unused seats may be offered; the plan has no room for the rest.
local function share_out(returned, withheld, unused, returned_count)
  redis.call("DEL", returned, withheld)
  for index, place in ipairs(unused) do
    redis.call("ZADD", index <= returned_count and returned or withheld, place.offer_at_ms, place.seat)
  end
end

local function split_numbers(joined)
  local numbers = {}
  for number in string.gmatch(joined, "%d+") do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end
