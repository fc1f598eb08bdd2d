-- Sharing the unused seats of a slot out.

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
