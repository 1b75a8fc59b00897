---------------------------------------------------------------- protocol buffers, without their schema
-- The names are those of Wireshark's own dissector, which would need the schema, or a preference, to show values.

local show_protobuf -- what the other parts use of this one
do
local MAX_DEPTH, PART_COST = 16, 4
local VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
local WIRE_TYPES = { [0] = "varint", "fixed64", "length-delimited", [5] = "fixed32" }

-- A base-128 number at p as two halves of 32 bits, and where it ends; nil where it does not end, or is too long.
local function varint(p, e)
    local low, high = 0, 0
    for place = 0, 9 do
        if p >= e then return nil end
        local each = byte(bytes, p + 1)
        p = p + 1
        local seven = each % 128
        if place < 4 then
            low = low + seven * 2 ^ (7 * place)
        elseif place == 4 then
            low, high = low + seven % 16 * 2 ^ 28, floor(seven / 16)
        else
            high = high + seven * 2 ^ (7 * place - 32)
        end
        if each < 128 then
            if high >= 4294967296 then return nil end
            return low, high, p
        end
    end
end

-- The field at p: number, wire type, where its length, its value and what follows begin, the halves of its number.
local function protobuf_part(p, e)
    local tag, tag_high, at = varint(p, e)
    if not tag then return nil end
    local number, wire = tag_high * 536870912 + floor(tag / 8), tag % 8
    if number < 1 or number > 536870911 then return nil end
    local part = { number = number, wire = wire, tag = p, length = at, start = at, low = 0, high = 0 }
    if wire == VARINT or wire == LENGTH then
        local low, high, stop_ = varint(at, e)
        if not low then return nil end
        part.low, part.high, part.stop = low, high, stop_
        if wire == LENGTH then part.start, part.stop = stop_, stop_ + low + high * 4294967296 end
    elseif wire == FIXED64 then
        part.stop = at + 8
    elseif wire == FIXED32 then
        part.stop = at + 4
    else
        return nil
    end
    return part.stop <= e and part or nil
end

local function is_protobuf(p, e)
    local at = p
    while at < e do
        local part = protobuf_part(at, e)
        if not part then return false end
        at = part.stop
        budget = budget - 1
        if budget < 0 then return false end
    end
    return at > p
end

-- Whether the bytes are text to be read: UTF-8 without control characters.
local function printable(raw)
    return raw ~= "" and not raw:find("%c") and not raw:find("\194[\128-\160\173]") and valid_utf8(raw) == raw
end

-- Adds what a field is made of; returns whether its value is a message.
local function show_protobuf_part(part, tree)
    local start, size = part.start, part.stop - part.start
    local function show(name, p, length, value)
        local field = fields["protobuf.field." .. name]
        if field then add(tree, field, tvb(p, length), value) end
    end
    show("number", part.tag, part.length - part.tag, UInt64.new(part.number))
    show("wiretype", part.tag, 1, part.wire)
    if part.wire == VARINT then
        show("value.uint64", start, size, UInt64.new(part.low, part.high))
    elseif part.wire == FIXED64 then
        show("value.uint64", start, size, tvb(start, 8):le_uint64())
        show("value.double", start, size, tvb(start, 8):le_float())
    elseif part.wire == FIXED32 then
        show("value.uint32", start, size, tvb(start, 4):le_uint())
        show("value.float", start, size, tvb(start, 4):le_float())
    else
        show("value.length", part.length, start - part.length, UInt64.new(size))
        local content = sub(bytes, start + 1, part.stop)
        local readable = printable(content)
        if readable then show("value.string", start, size, content) end
        if fields["protobuf.field.value"] then add(tree, fields["protobuf.field.value"], tvb(start, size)) end
        return not readable and is_protobuf(start, part.stop)
    end
    return false
end

-- Shows the fields of the message from p to e; returns where it ends to be one.
function show_protobuf(p, e, tree, depth)
    while p < e do
        local part = protobuf_part(p, e)
        if not part then break end
        budget = budget - PART_COST
        if budget < 0 then break end
        local item = add(tree, tvb(p, part.stop - p), format("Field: %d, %s", part.number, WIRE_TYPES[part.wire]))
        if show_protobuf_part(part, item) and depth < MAX_DEPTH then
            show_protobuf(part.start, part.stop, item, depth + 1)
        end
        p = part.stop
    end
    return p
end
end
