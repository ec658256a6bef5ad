-- SPDX-License-Identifier: MIT
-- A fixed workload for the Lua interpreter: calls, tables, strings, sorting, patterns, closures,
-- coroutines. Prints a checksum, the same on every run.
--	bench.lua [SCALE] [no-coroutines]
local scale = tonumber(arg and arg[1]) or 1
local coroutines = not (arg and arg[2] == "no-coroutines")
local sum = 0
local state = 42

local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state % n + 1
end

local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end

local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return count
end

local function sorting(n)
  local list = {}
  for i = 1, n do list[i] = random(1000000) end
  table.sort(list, function(a, b) return a < b end)
  return list[1] + list[n]
end

local function words(n)
  local counts, parts = {}, {}
  for i = 1, n do parts[#parts + 1] = "w" .. random(500) end
  for word in table.concat(parts, " "):gmatch("%a%d+") do
    counts[word] = (counts[word] or 0) + 1
  end
  local distinct = 0
  for _ in pairs(counts) do distinct = distinct + 1 end
  return distinct
end

local function objects(n)
  local Point = {}
  Point.__index = Point
  Point.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Point) end
  local total = setmetatable({ x = 0, y = 0 }, Point)
  for i = 1, n do total = total + setmetatable({ x = i, y = -i }, Point) end
  return total.x
end

local function pipeline(n)
  local source = coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end)
  local total = 0
  for i in source do total = total + i end
  return total
end

for _ = 1, scale do
  sum = sum + fib(22) + sieve(60000) + sorting(12000) + words(12000) + objects(40000)
  if coroutines then sum = sum + pipeline(15000) end
end
print(sum)
