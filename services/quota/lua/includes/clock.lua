-- The clock of the server that decides, in whole milliseconds since 1970 UTC.
local function clock_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
