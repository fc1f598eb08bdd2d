-- A msgpack array or map as a table; nil when the text is none.
local function unpacked(text)
  local fine, value = pcall(cmsgpack.unpack, text)
  if fine and type(value) == "table" then return value end
  return nil
end
