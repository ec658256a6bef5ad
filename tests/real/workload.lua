-- SPDX-License-Identifier: MIT
-- A fixed piece of work for the interpreter: strings, tables, closures, coroutines, errors (longjmp
-- in C), metatables, garbage collection, sorting with callbacks, string formats, loading code.
local scale = tonumber(arg and arg[1]) or 1

local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print("fib", fib(18 + scale))

local words = {}
for i = 1, 2000 * scale do words[#words + 1] = string.format("%05d-%s", i * 7919 % 10007, string.rep("x", i % 13)) end
table.sort(words, function(a, b) return a < b end)
print("sorted", words[1], words[#words])
local joined = table.concat(words, ",")
local count = 0
for number in joined:gmatch("(%d+)%-") do count = count + tonumber(number) end
print("sum", count, select(2, joined:gsub("x+", "y")))

local function generator(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i * i) end end) end
local total = 0
for _ = 1, 50 * scale do for value in generator(20) do total = total + value end end
print("coroutines", total)

local errors = 0
local function deep(n) if n == 0 then error({code = 42}) end return deep(n - 1) + 1 end
for i = 1, 500 * scale do
	local ok, problem = pcall(deep, i % 50)
	if not ok and problem.code == 42 then errors = errors + 1 end
end
print("errors", errors)
print(xpcall(deep, function(e) return "handled " .. e.code end, 10))
print("in a coroutine", pcall(coroutine.wrap(function() pcall(error) ; error("late") end)))

local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({x = a.x + b.x}, Point) end
Point.__gc = function() errors = errors + 0 end
local p = setmetatable({x = 0}, Point)
for i = 1, 3000 * scale do p = p + setmetatable({x = i}, Point) end
collectgarbage()
print("metatables", p.x)

local chunk = assert(load("local s = 0; for i = 1, ... do s = s ~ (i << (i % 7)) end; return s"))
print("loaded", chunk(5000 * scale))
print(string.pack(">i4s1d", 7, "hello", 1.5):byte(1, -1))
print(math.type(3 // 2), 7 % -3, 2^0.5, string.format("%q %a %5.2f", "a\nb", 1 / 3, 2 / 3))
print(os.rename("/nonexistent/a", "/nonexistent/b"))
os.exit(7, true)
