---------------------------------------------------------------- fields
-- Filter names are collected first (a name may stand in several places, with several sizes), then ProtoFields made.

local specs, order = {}, {} -- name -> spec; the names in the order they were met
local fields = {} -- name -> ProtoField: those of headers, and of the services met so far
-- Those of all services, by number alone (their names take much memory), and service -> how many come before its own.
local service_fields, fields_before = {}, {}
local experts = {} -- severity as in the definitions' program: 1 chat ... 4 error

local CHAT, NOTE, WARN, ERROR = 1, 2, 3, 4
local floor, byte, sub, format, concat = math.floor, string.byte, string.sub, string.format, table.concat
-- Called as functions: to look up a method of one of Wireshark's objects is a call by itself.
local add, add_le, set_generated = TreeItem.add, TreeItem.add_le, TreeItem.set_generated
local set_hidden = TreeItem.set_hidden
local referenced = TreeItem.referenced -- whether a filter, a column or a tap wants a field

local function collect(name, label, kind, size, more)
    local known = specs[name]
    if known then
        if size > known.size then known.size = size end
        return
    end
    more = more or {}
    specs[name] = { label = label, kind = kind, size = size, hex = more.hex, labels = more.labels, unit = more.unit,
                    mask = more.mask }
    order[#order + 1] = name
end

local function whole_number_field(name, spec, sign)
    local bits = spec.size <= 1 and "8" or spec.size == 2 and "16" or spec.size == 3 and "24" or
        spec.size == 4 and "32" or "64"
    local constructor = ProtoField[sign .. bits]
    local shown, texts = base.DEC, spec.labels
    if spec.hex and sign == "uint" then
        shown = base.HEX
    elseif spec.unit and not texts then
        shown, texts = base.UNIT_STRING, { " " .. spec.unit }
    end
    return constructor(name, spec.label, shown, texts, spec.mask)
end

local field_makers = {
    uint = function(name, spec) return whole_number_field(name, spec, "uint") end,
    int = function(name, spec) return whole_number_field(name, spec, "int") end,
    float = function(name, spec) return ProtoField.double(name, spec.label) end,
    bool = function(name, spec)
        if spec.mask then return ProtoField.bool(name, spec.label, spec.size * 8, nil, spec.mask) end
        return ProtoField.bool(name, spec.label)
    end,
    string = function(name, spec) return ProtoField.string(name, spec.label) end,
    bytes = function(name, spec) return ProtoField.bytes(name, spec.label) end,
    counted_bytes = function(name, spec) return ProtoField.ubytes(name, spec.label) end,
    ipv4 = function(name, spec) return ProtoField.ipv4(name, spec.label) end,
    ipv6 = function(name, spec) return ProtoField.ipv6(name, spec.label) end,
    ether = function(name, spec) return ProtoField.ether(name, spec.label) end,
    none = function(name, spec) return ProtoField.none(name, spec.label) end,
    frame = function(name, spec) return ProtoField.framenum(name, spec.label) end,
    protocol = function(name, spec) return ProtoField.protocol(name, spec.label) end,
    request_frame = function(name, spec)
        return ProtoField.framenum(name, spec.label, base.NONE, frametype.REQUEST)
    end,
    response_frame = function(name, spec)
        return ProtoField.framenum(name, spec.label, base.NONE, frametype.RESPONSE)
    end,
}

local function make_field(name)
    local spec = specs[name]
    if name:find("^protobuf%.") or name:find("^tftp") or name:find("^usb") or name == "mbim" then
        -- Wireshark has these names itself: where a version of it means something else by one, that one is not shown.
        local done, field = pcall(field_makers[spec.kind], name, spec)
        return done and field or nil
    end
    return field_makers[spec.kind](spec.name or name, spec)
end

-- The names collected since the last call.
local function take_names()
    local taken = order
    specs, order = {}, {}
    return taken
end

-- Makes the ProtoFields; each belongs to the protocol that its name begins with, or to QMI. Of services there are
-- functions that make their tables, and collect_service() collects the names of one.
local function register(protocols, default, makers, collect_service)
    local of = { [default] = service_fields }
    for _, name in ipairs(order) do
        local owner = protocols[name:match("^[^.]+")] or default
        of[owner] = of[owner] or {}
        fields[name] = make_field(name)
        of[owner][#of[owner] + 1] = fields[name] -- nil adds nothing
    end
    take_names()
    for number, make in pairs(makers) do
        fields_before[number] = #service_fields
        collect_service(make())
        for _, name in ipairs(order) do service_fields[#service_fields + 1] = make_field(name) end
        take_names()
    end
    for owner, list in pairs(of) do owner.fields = list end
    local groups = { expert.group.COMMENTS_GROUP, expert.group.UNDECODED, expert.group.PROTOCOL, expert.group.MALFORMED }
    local severities = { expert.severity.CHAT, expert.severity.NOTE, expert.severity.WARN, expert.severity.ERROR }
    local list = {}
    for severity, word in ipairs({ "chat", "note", "warn", "error" }) do
        experts[severity] = ProtoExpert.new("qmisniff.problem." .. word, "Problem", groups[severity], severities[severity])
        list[severity] = experts[severity]
    end
    default.experts = list
end

-- The packet being taken apart. Dissectors run one after the other, so one set of variables does.
local tvb, bytes -- the buffer, and its bytes as a string
local tree_wanted = false -- somebody looks at the tree, or filters for something in it
local tree_visible = false -- somebody looks at it: texts are worth their time
local worst, worst_text -- the gravest problem of the packet, for the Info column

local owners = {} -- the dissectors whose protocols have the fields

local function is_asked_for(tree)
    for _, dissector in ipairs(owners) do
        if tree:referenced(dissector) then return true end
    end
    return false
end

-- The objects for a packet's fields outnumber by far what stays. Left to itself, the collector takes those that it has
-- still to finish for living ones, and lets them become hundreds of megabytes, which no processor's cache holds: to
-- clear away a megabyte at a time is a third faster. Each time all that stays is looked through, too, and what is known
-- of a long capture's packets becomes much: the more stays, the seldomer.
local ENOUGH, PART = 1000, 0.25 -- KB, of what stays
local next_clearing = 0

local function clear_away()
    if collectgarbage("count") < next_clearing then return end
    collectgarbage("collect")
    local stays = collectgarbage("count")
    next_clearing = stays + math.max(ENOUGH, stays * PART)
end

local function start_packet(buffer, tree)
    clear_away()
    tvb, bytes = buffer, buffer:raw()
    worst, worst_text = nil, nil
    tree_visible = tree.visible
    tree_wanted = tree_visible or is_asked_for(tree)
end

-- The bytes of a layer: of one that is a part of the buffer, filters would look at the buffer's from its first on.
local function part(start, size)
    if start == 0 and size == #bytes or size == 0 then return tvb(start, size) end
    return tvb(start, size):tvb():range()
end

-- Whether a field is to be added. Where nobody looks at the tree, Wireshark itself drops one that nothing asks for: not
-- to add it saves the objects for it, which cost more, to make and to clear away, than all else.
local function field_wanted(tree, field) return tree_visible or tree_wanted and referenced(tree, field) end

-- What the bytes do not say.
local function add_generated(tree, field, at, value) set_generated(add(tree, field, tvb(at, 0), value)) end

-- A number that has no label is shown as the number alone; Wireshark calls it unknown.
local function number_alone(item)
    local text = item.text
    if text:find(": Unknown (", 1, true) then item:set_text((text:gsub(": Unknown %((.-)%)$", ": %1"))) end
end

local function note_problem(severity, text)
    if not worst or severity > worst then worst, worst_text = severity, text end
end

local function add_problem(tree, severity, text, offset, size)
    if size > 0 then
        tree:add_tvb_expert_info(experts[severity], tvb(offset, size), text)
    else -- Wireshark drops one about no bytes at the end of the packet
        tree:add_proto_expert_info(experts[severity], text)
    end
end

local function problem(tree, severity, text, offset, size)
    note_problem(severity, text)
    add_problem(tree, severity, text, offset, size)
end

---------------------------------------------------------------- whole numbers out of the bytes

local function u16(p)
    local a, b = byte(bytes, p + 1, p + 2)
    return a + b * 256
end

local function u32(p)
    local a, b, c, d = byte(bytes, p + 1, p + 4)
    return a + b * 256 + c * 65536 + d * 16777216
end

-- Whole numbers of Lua 5.3 and later have 64 bits with a sign: what may need more begins as a fraction, a double.
local function zero(size) return size > 6 and 0.0 or 0 end

local function little(p, size)
    local value = zero(size)
    for at = p + size, p + 1, -1 do value = value * 256 + byte(bytes, at) end
    return value
end

local function big(p, size)
    local value = zero(size)
    for at = p + 1, p + size do value = value * 256 + byte(bytes, at) end
    return value
end

-- A function that reads a number of a type: exact up to six bytes, as near as a double comes beyond.
local function number_reader(form, size, is_big)
    if form == "f" then
        if size == 4 then
            if is_big then return function(p) return tvb(p, 4):float() end end
            return function(p) return tvb(p, 4):le_float() end
        end
        if is_big then return function(p) return tvb(p, 8):float() end end
        return function(p) return tvb(p, 8):le_float() end
    end
    local read
    if size == 1 then
        read = function(p) return byte(bytes, p + 1) end
    elseif is_big then
        read = function(p) return big(p, size) end
    elseif size == 2 then
        read = u16
    elseif size == 4 then
        read = u32
    else
        read = function(p) return little(p, size) end
    end
    if form == "u" then return read end
    if size == 8 then
        -- Two's complement in halves: the whole as a double would lose the low bits of small negative numbers.
        return function(p)
            local low, high
            if is_big then high, low = big(p, 4), big(p + 4, 4) else low, high = u32(p), u32(p + 4) end
            if high >= 2147483648 then high = high - 4294967296 end
            return high * 4294967296.0 + low
        end
    end
    local half, whole = 2 ^ (size * 8 - 1), 2 ^ (size * 8)
    return function(p)
        local value = read(p)
        return value >= half and value - whole or value
    end
end
