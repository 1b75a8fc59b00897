---------------------------------------------------------------- types
-- A type is a table: its sort, then what it is made of (the tables below were generated from the definitions):
--   {"u"|"i"|"f", size, be=, truth=, enum=, flags=, hex=, num=, den=, unit=, since=, bits={{name, low, width, enum}...}}
--   {"text", encoding, LENGTH, by=, labels=}   {"bytes", LENGTH, protobuf=}   {"ipv4"|"ipv6"|"mac"|"plmn", be=}
--   {"struct", {name, type}...}       {"array", LENGTH, type}        {"union", on, {value, name, type}...}
--   {"any", type...}
-- LENGTH is {fixed=n}, {prefix=bytes, bytes=}, {field=name, bytes=} or {}, the rest.
-- compile() makes a function of it when a value of the type is first met: decode(at, stop, tree, scope) adds the
-- value's fields to the tree and returns where it ends; where the bytes are too few it raises STOP.

local STOP = {} -- raised as an error by stop(), caught around each TLV
local stop_at, stop_reason
local SHORT, BUDGET, NO_CASE =
    "the value ends inside this field", "too many fields to show", "no layout is known for this selector"
local MAX_FIELDS = 4000 -- of one message; what comes after them stays bytes
local budget = 0
local shown_text -- text of the last value added, where the tree is visible

local function stop(at, reason)
    stop_at, stop_reason = at, reason
    error(STOP, 0)
end

local collect_service, compile, compile_fields -- what the other parts use of this one
do
local ADDRESS_KIND = { ipv4 = "ipv4", ipv6 = "ipv6", mac = "ether", plmn = "string" }
local ADDRESS_SIZE = { ipv4 = 4, ipv6 = 16, mac = 6, plmn = 3 }

local function number_kind(kind)
    if kind.truth then return "bool" end
    if kind[1] == "f" or kind.den then return "float" end
    if kind[1] == "i" or (kind.num or 1) < 0 then return "int" end
    return "uint"
end

-- One bit without a label is true or false.
local function bits_kind(part) return part[3] == 1 and not part[4] and "bool" or "uint" end

-- Masks of ProtoFields have 32 bits at most; wider numbers get the value of their bits worked out.
local function bits_mask(part, size)
    if size <= 4 then return (2 ^ part[3] - 1) * 2 ^ part[2] end
end

-- The name of a field whose bytes are counted by a prefix: another ProtoField under the same filter name.
local function counted(path) return path .. "\0counted" end

-- Collects the filter names of a type.
local function collect_type(kind, path)
    local sort, label = kind[1], path:match("[^.]+$")
    if sort == "array" then
        collect_type(kind[3], path)
    elseif sort == "any" then
        for at = 2, #kind do collect_type(kind[at], path) end
    elseif sort == "struct" then
        collect(path, label, "none", 0)
        for at = 2, #kind do collect_type(kind[at][2], path .. "." .. kind[at][1]) end
    elseif sort == "union" then
        for at = 3, #kind do collect_type(kind[at][3], path .. "." .. kind[at][2]) end
    elseif sort == "text" then
        collect(path, label, "string", 0)
    elseif sort == "bytes" then
        if kind[2].prefix then
            collect(counted(path), label, "counted_bytes", 0)
            specs[counted(path)].name = path
        else
            collect(path, label, "bytes", 0)
        end
    elseif ADDRESS_KIND[sort] then
        collect(path, label, ADDRESS_KIND[sort], 0)
    else
        local size, scaled = kind[2], kind.num or kind.den
        collect(path, label, number_kind(kind), scaled and 8 or size,
            { hex = kind.hex or kind.flags or kind.bits, labels = kind.enum, unit = kind.unit })
        for _, part in ipairs(kind.bits or {}) do
            collect(path .. "." .. part[1], part[1], bits_kind(part), size, { labels = part[4], mask = bits_mask(part, size) })
        end
    end
end

-- Collects the filter names of a service, always in the same order.
function collect_service(service)
    local ids = {}
    for id in pairs(service.messages) do ids[#ids + 1] = id end
    table.sort(ids)
    for _, id in ipairs(ids) do
        local message = service.messages[id]
        for kind = 1, 3 do
            for _, tlv in ipairs(message.tlvs[kind] or {}) do
                collect_type(tlv[3], format("qmi.%s.%s.%s", service.name, message[1], tlv[2]))
            end
        end
    end
end

-- Fields that one value makes, arrays below it not counted: they count for themselves.
local function leaves(kind)
    if kind[1] == "struct" then
        local sum = 0
        for at = 2, #kind do sum = sum + leaves(kind[at][2]) end
        return sum
    elseif kind[1] == "union" then
        local most = 0
        for at = 3, #kind do most = math.max(most, leaves(kind[at][3])) end
        return most
    end
    return 1 + #(kind.bits or {})
end

-- The names of earlier fields that a struct's field refers to.
local function references(kind, into)
    local sort = kind[1]
    local length = sort == "text" and kind[3] or (sort == "bytes" or sort == "array") and kind[2]
    if length and length.field then into[length.field] = true end
    if kind.by then into[kind.by] = true end
    if sort == "array" then
        references(kind[3], into)
    elseif sort == "union" then
        into[kind[2]] = true
        for at = 3, #kind do references(kind[at][3], into) end
    end
    return into
end

-- ---- what is shown behind a value

local function has_bits(low, high, mask)
    local mask_high = floor(mask / 4294967296)
    local mask_low = mask - mask_high * 4294967296
    local function all(value, wanted)
        while wanted >= 1 do
            if wanted % 2 >= 1 and value % 2 < 1 then return false end
            value, wanted = floor(value / 2), floor(wanted / 2)
        end
        return true
    end
    return all(low, mask_low) and all(high, mask_high)
end

local function sorted_masks(labels)
    local masks = {}
    for mask in pairs(labels) do
        if mask ~= 0 then masks[#masks + 1] = mask end
    end
    table.sort(masks)
    return masks
end

local function flags_suffix(size, is_big, labels)
    local masks = sorted_masks(labels)
    return function(p)
        local low, high
        if size <= 4 then
            low, high = is_big and big(p, size) or little(p, size), 0
        elseif is_big then
            low, high = big(p + size - 4, 4), big(p, size - 4)
        else
            low, high = little(p, 4), little(p + 4, size - 4)
        end
        local names = {}
        for _, mask in ipairs(masks) do
            if has_bits(low, high, mask) then names[#names + 1] = labels[mask] end
        end
        if #names == 0 then names[1] = labels[0] or "none" end
        return " (" .. concat(names, "|") .. ")"
    end
end

local EPOCHS = { unix = 0, gps = 315964800 }
local MOST_SECONDS = 253402300799 -- the end of the year 9999

local function moment_suffix(value, kind)
    local seconds = floor((kind.unit == "ms" and value / 1000 or value) + EPOCHS[kind.since])
    if seconds ~= seconds or seconds < 0 or seconds > MOST_SECONDS then return "" end
    return os.date("! (%Y-%m-%d %H:%M:%S ", seconds) .. (kind.since == "unix" and "UTC)" or "GPS time)")
end

-- ---- numbers

local function scaled_value(kind, read)
    local num, den = kind.num or 1, kind.den
    if den then return function(p) return read(p) * num / den + 0 end end -- a zero, where it is one, without a sign
    if kind[1] == "i" or num < 0 then
        local factor = Int64.new(num)
        return function(p) return Int64.new(read(p)) * factor end
    end
    local size, factor = kind[2], UInt64.new(num)
    if kind.be then return function(p) return tvb(p, size):uint64() * factor end end
    return function(p) return tvb(p, size):le_uint64() * factor end
end

-- A function that gives the value to show; nil where Wireshark itself reads it out of the bytes.
local function shown_value(kind, read)
    if kind.truth then return function(p) return read(p) ~= 0 end end
    if kind.num or kind.den then return scaled_value(kind, read) end
    if kind[1] == "f" then return read end -- the field is a double, whatever its size here
end

-- The bits from `low` on of a number of more than four bytes, which a double does not hold exactly.
local function wide_bits(kind, p, low, width)
    local size, words = kind[2], {}
    for at = 0, 3 do -- sixteen bits each
        local first, count = at * 2, math.min(2, size - at * 2)
        if count > 0 then words[at] = kind.be and big(p + size - first - count, count) or little(p + first, count) end
    end
    local value, scale, at = 0, 1, low
    while at < low + width do
        local word, from = words[floor(at / 16)] or 0, at % 16
        local count = math.min(16 - from, low + width - at)
        value = value + floor(word / 2 ^ from) % 2 ^ count * scale
        scale, at = scale * 2 ^ count, at + count
    end
    return value
end

-- Shows the bits of the number at p below its item.
local function bits_adder(kind, path)
    local parts = {}
    for at, part in ipairs(kind.bits) do
        parts[at] = { field = fields[path .. "." .. part[1]], low = part[2], width = part[3],
                      truth = bits_kind(part) == "bool" }
    end
    local size = kind[2]
    return function(item, p)
        for _, part in ipairs(parts) do
            if not field_wanted(item, part.field) then
                -- nothing to show
            elseif size > 4 then
                local value = wide_bits(kind, p, part.low, part.width)
                add(item, part.field, tvb(p, size), part.truth and value ~= 0 or not part.truth and UInt64.new(value))
            elseif kind.be then
                add(item, part.field, tvb(p, size))
            else
                add_le(item, part.field, tvb(p, size))
            end
        end
    end
end

local function compile_number(kind, path, stored)
    local size, field = kind[2], fields[path]
    local read = number_reader(kind[1], size, kind.be)
    local value, add_read = shown_value(kind, read), kind.be and add or add_le
    local add_bits = kind.bits and bits_adder(kind, path)
    local suffix = kind.flags and flags_suffix(size, kind.be, kind.flags)
    local float_unit = kind.unit and number_kind(kind) == "float" and " " .. kind.unit

    local function show(item, p)
        if float_unit then item:append_text(float_unit) end
        if suffix then item:append_text(suffix(p)) end
        if kind.since then item:append_text(moment_suffix(read(p) * (kind.num or 1) / (kind.den or 1), kind)) end
        if kind.enum then number_alone(item) end
        shown_text = item.text
    end

    if not stored and not value and not add_bits then -- most numbers are nothing else
        return function(p, e, tree)
            local after = p + size
            if after > e then stop(p, SHORT) end
            if field_wanted(tree, field) then
                local item = add_read(tree, field, tvb(p, size))
                if tree_visible then show(item, p) end
            end
            return after
        end
    end
    return function(p, e, tree, scope)
        if e - p < size then stop(p, SHORT) end
        if stored then scope[stored] = read(p) end
        if field_wanted(tree, field) then
            local item
            if value then item = add(tree, field, tvb(p, size), value(p)) else item = add_read(tree, field, tvb(p, size)) end
            if add_bits then add_bits(item, p) end
            if tree_visible then show(item, p) end
        elseif add_bits and tree_wanted then
            add_bits(tree, p)
        end
        return p + size
    end
end

-- ---- text, bytes, addresses

-- A function that gives how many there are and how many bytes stand before them.
local function length_reader(length)
    if length.fixed then return function() return length.fixed, 0 end end
    if length.field then
        return function(p, _, scope)
            local many = scope[length.field]
            if many < 0 then stop(p, SHORT) end
            return many, 0
        end
    end
    if length.prefix then
        local size = length.prefix
        return function(p, e)
            if e - p < size then stop(p, SHORT) end
            return little(p, size), size
        end
    end
    return function(p, e) return e - p, 0 end
end

-- fixed-size text counts characters of utf16 where nothing says bytes; "rest" counts bytes always
local function compile_text(kind, path)
    local field, length = fields[path], length_reader(kind[3])
    local width = kind[2] == "utf16" and not kind[3].bytes and next(kind[3]) and 2 or 1
    local reader, chosen = text_readers[kind[2]], kind.by
    local by_label = {}
    if chosen then
        reader = function(raw, scope)
            local value = scope[chosen]
            local read = by_label[value]
            if not read then
                read = encoding_of(kind.labels and kind.labels[value])
                if kind.labels and kind.labels[value] then by_label[value] = read end
            end
            return read(raw)
        end
    end
    return function(p, e, tree, scope)
        local many, prefix = length(p, e, scope)
        many = many * width
        if e - p - prefix < many then stop(p, SHORT) end
        if field_wanted(tree, field) then
            local start = p + prefix
            local item = add(tree, field, tvb(p, prefix + many), no_nul(reader(sub(bytes, start + 1, start + many), scope)))
            if tree_visible then shown_text = item.text end
        end
        return p + prefix + many
    end
end

local function compile_bytes(kind, path)
    local length, prefixed = length_reader(kind[2]), kind[2].prefix
    local field = fields[prefixed and counted(path) or path]
    return function(p, e, tree, scope)
        local many, prefix = length(p, e, scope)
        if e - p - prefix < many then stop(p, SHORT) end
        if field_wanted(tree, field) then
            local item
            if prefixed then
                item = add_le(tree, field, tvb(p, prefix)) -- Wireshark reads the count itself
            else
                item = add(tree, field, tvb(p, many))
            end
            if tree_visible then shown_text = item.text end
        end
        return p + prefix + many
    end
end

local function compile_address(kind, path)
    local sort, field = kind[1], fields[path]
    local size = ADDRESS_SIZE[sort]
    return function(p, e, tree)
        if e - p < size then stop(p, SHORT) end
        if field_wanted(tree, field) then
            local item
            if sort == "plmn" then
                item = add(tree, field, tvb(p, size), plmn(sub(bytes, p + 1, p + size)))
            elseif sort == "ipv4" and not kind.be then
                item = add_le(tree, field, tvb(p, size))
            else
                item = add(tree, field, tvb(p, size))
            end
            if tree_visible then shown_text = item.text end
        end
        return p + size
    end
end

-- ---- what holds others

-- A heading: below it stands what `inside` decodes. Without a field it is there to be looked at only.
local function below_heading(field, text, inside, p, e, tree, scope)
    local item
    if field and field_wanted(tree, field) then
        item = add(tree, field, tvb(p, e - p))
    elseif tree_visible then
        item = add(tree, tvb(p, e - p), text)
    else
        return inside(p, e, tree, scope)
    end
    local at = inside(p, e, item, scope)
    item:set_len(at - p)
    return at
end

-- The fields of a struct, without a heading.
function compile_fields(kind, path)
    local referred, parts = {}, {}
    for at = 2, #kind do references(kind[at][2], referred) end
    for at = 2, #kind do
        local name, inner = kind[at][1], kind[at][2]
        parts[at - 1] = compile(inner, path .. "." .. name, referred[name] and name)
    end
    local count, scoped = #parts, next(referred) ~= nil
    return function(p, e, tree)
        local scope = scoped and {} or nil
        for at = 1, count do p = parts[at](p, e, tree, scope) end
        return p
    end
end

local function compile_array(kind, path)
    local element, length = kind[3], kind[2]
    local is_struct = element[1] == "struct"
    local name, field = path:match("[^.]+$"), is_struct and fields[path] or nil
    local decode = is_struct and compile_fields(element, path) or compile(element, path)
    local cost, count = 1 + leaves(element), length_reader(length)
    local by_bytes = length.bytes or next(length) == nil

    local function one(p, e, tree, scope, index)
        budget = budget - cost
        if budget < 0 then stop(p, BUDGET) end
        if not is_struct then return decode(p, e, tree, scope) end
        return below_heading(nil, tree_visible and format("%s [%d]", name, index) or name, decode, p, e, tree, scope)
    end

    local function elements(p, e, tree, scope)
        local many, prefix = count(p, e, scope)
        p = p + prefix
        if by_bytes then
            if e - p < many then stop(p, SHORT) end
            local last, index = p + many, 0
            while p < last do
                p = one(p, last, tree, scope, index)
                index = index + 1
            end
            return p
        end
        for index = 0, many - 1 do p = one(p, e, tree, scope, index) end
        return p
    end

    return function(p, e, tree, scope)
        return below_heading(field, name, elements, p, e, tree, scope)
    end
end

local function compile_union(kind, path)
    local selector, cases = kind[2], {}
    for at = 3, #kind do
        local value, name, inner = kind[at][1], kind[at][2], kind[at][3]
        cases[value] = cases[value] or compile(inner, path .. "." .. name)
    end
    return function(p, e, tree, scope)
        local case = cases[scope[selector]]
        if not case then stop(p, NO_CASE) end
        return case(p, e, tree, scope)
    end
end

-- `stored` is the name under which later fields of the struct ask for a number.
function compile(kind, path, stored)
    local sort = kind[1]
    if sort == "text" then return compile_text(kind, path) end
    if sort == "bytes" then return compile_bytes(kind, path) end
    if sort == "array" then return compile_array(kind, path) end
    if sort == "union" then return compile_union(kind, path) end
    if sort == "struct" then
        local inside, field = compile_fields(kind, path), fields[path]
        return function(p, e, tree, scope) return below_heading(field, nil, inside, p, e, tree, scope) end
    end
    if ADDRESS_SIZE[sort] then return compile_address(kind, path) end
    return compile_number(kind, path, stored)
end
end
