-- Binary trees that come and go, a table of strings, closures, and text built piece by piece.
local function tree(depth)
    if depth == 0 then
        return {}
    end
    return { tree(depth - 1), tree(depth - 1) }
end

local function count(node)
    return node[1] and 1 + count(node[1]) + count(node[2]) or 1
end

local kept, nodes = tree(15), 0
for _ = 1, 60 do
    nodes = nodes + count(tree(11))
end

local words, state = {}, 1
for i = 1, 200000 do
    state = state * 16807 % 2147483647
    local key = ("key-%x"):format(state % 50021)
    words[key] = (words[key] or "") .. string.char(97 + i % 26)
end
local keys = {}
for key in pairs(words) do
    keys[#keys + 1] = key
end
table.sort(keys)
local text, length = {}, 0
for _, key in ipairs(keys) do
    text[#text + 1] = key:rep(2) .. "=" .. words[key]:upper()
    length = length + #text[#text]
end
local counters = {}
for i = 1, 100000 do
    counters[i] = function() return i + #keys end
end
local sum = 0
for i = 1, #counters do
    sum = sum + counters[i]()
end
print(count(kept), nodes, #keys, length, sum, #table.concat(text, "\n"):gsub("%d+", "<%0>"))
