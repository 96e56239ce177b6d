#!/bin/sh
# lua: its allocator is one realloc for everything, with which tables and strings grow and shrink at every size.
. "${0%/*}/lib.sh"
need lua5.4

cat >"$directory/program.lua" <<'END'
local x = 1
local function random(n)
    x = x * 16807 % 2147483647
    return x % n + 1
end

local function work()
    local words, index = {}, {}
    for i = 1, 100000 do
        words[i] = string.format("%08x-%d", random(1 << 30), i)
        index[words[i]] = i
    end
    table.sort(words)
    local text = table.concat(words, "\n")
    local digits = select(2, text:gsub("%d%d%d", "<%0>"))
    for i = 1, #words, 3 do index[words[i]] = nil end
    local left, sum = 0, 0
    for _, i in pairs(index) do left = left + 1; sum = sum + i end
    return #text, digits, left, sum, words[1], words[#words]
end

local function trees(depth)
    if depth == 0 then return {} end
    return { trees(depth - 1), trees(depth - 1) }
end

local function count(tree)
    if not tree[1] then return 1 end
    return 1 + count(tree[1]) + count(tree[2])
end

for _, mode in ipairs { "incremental", "generational" } do
    collectgarbage(mode)
    print(mode, work())
    local kept, total = trees(14), 0
    for _ = 1, 20 do total = total + count(trees(11)) end
    print(count(kept), total)
    collectgarbage()
    print(collectgarbage("count") < 50000)
end

local threads, switches = {}, 0
for i = 1, 2000 do
    threads[i] = coroutine.wrap(function()
        for n = 1, 20 do coroutine.yield(("x"):rep(n * i % 300)) end
    end)
end
for _ = 1, 20 do
    for i = 1, #threads do switches = switches + #threads[i]() end
end
print(switches)

local buffer = ""
for i = 1, 3000 do buffer = buffer .. i .. "," end
print(#buffer, #buffer:rep(1000), #string.pack("s4", buffer:rep(100)))
print(pcall(string.rep, "x", 1 << 62))
print(select("#", table.unpack(load("return {" .. ("1,"):rep(20000) .. "}")())))
END

compare "lua" 1 lua5.4 "$directory/program.lua"
