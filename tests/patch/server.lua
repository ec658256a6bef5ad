-- SPDX-License-Identifier: MIT
-- Answers each line "NUMBER TEXT" by "NUMBER COUNT", the characters of TEXT as utf8.codes() counts them, or
-- "NUMBER invalid". Bytes are written as %xx.
for line in io.lines() do
  local number, text = line:match("^(%d+) (.*)$")
  text = text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  local ok, count = pcall(function()
    local n = 0
    for _ in utf8.codes(text) do n = n + 1 end
    return n
  end)
  io.write(number, " ", ok and count or "invalid", "\n")
  io.flush()
end
