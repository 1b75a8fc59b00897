---------------------------------------------------------------- registration

for _, item in ipairs(definitions.fields) do
    collect(item[1], item[2], item[3], item[4], { hex = item.hex, labels = item.labels, unit = item.unit })
end
register({ tap = tap, qrtr = qrtr, qmux = qmux }, qmi, definitions.services, collect_service)
definitions.fields = nil
-- What stays is some 3 MB, and for ever: to look through it for garbage less often saves much of the time. A later Lua
-- may not know the word.
pcall(collectgarbage, "setpause", 1000)

RESULT = tlv_decoder({ RESULT_TLV, "result", RESULT_TYPE, mandatory = true }, "qmi")
RESULT.heading = nil -- it would be the whole protocol's name

local function start_capture()
    forget()
    forget_transfers()
end
start_capture()
qmi.init = start_capture

-- How each link type of the tap header is taken apart.
local links = {
    [0] = function(pinfo, tree) show_packet(pinfo, tree) end,
    [1] = function(pinfo, tree)
        start_messages()
        show_frames(0, #bytes, pinfo, tree)
        qmux_columns(pinfo, "QMUX", format("%d bytes", #bytes))
    end,
    [2] = function(pinfo, tree)
        start_messages()
        local protocol, info = message(0, #bytes, nil, nil, pinfo, tree)
        local header = parse_header(0, #bytes, false)
        qmux_columns(pinfo, protocol, info, header ~= nil and header.type ~= REQUEST)
    end,
    [3] = function(pinfo, tree)
        start_messages()
        show_mbim({}, pinfo, tree)
        qmux_columns(pinfo, "MBIM", format("%d bytes", #bytes))
    end,
}

local function link_dissector(link)
    return function(buffer, pinfo, tree)
        start_packet(buffer, tree)
        links[link](pinfo, tree)
        return #bytes
    end
end

-- ---- the tap header, version 1 (see the documentation of qmisniff's capture files)

local TAP_SIZE = 32
local EMPTY = { [0] = "not a QRTR packet", "the QMUX header is cut short", "the QMI header is cut short" }
local LAYERS = { [0] = qrtr, qmux, qmi }
local FLAGS = { { "tap.synthetic", 0 }, { "tap.truncated", 1 }, { "tap.header_rebuilt", 2 } }

local function show_tap(size, pinfo, tree)
    local layer = add(tree, tap, tvb(0, size))
    add(layer, fields["tap.hook"], tvb(2, 1))
    local direction = pinfo.p2p_dir == 1 and 1 or pinfo.p2p_dir == 0 and 2 or 0
    add_generated(layer, fields["tap.direction"], 0, direction)
    local pid = tvb(8, 4):le_int()
    if pid >= 0 then add(layer, fields["tap.pid"], tvb(8, 4), pid) end
    local comm = to_nul(sub(bytes, 17, 32))
    if comm ~= "" then add(layer, fields["tap.comm"], tvb(16, 16), valid_utf8(comm)) end
    local cpu, flags = u16(4), byte(bytes, 4) % 8
    -- Another program may have cut the record since.
    if u32(12) > #bytes - size and floor(flags / 2) % 2 == 0 then flags = flags + 2 end
    if cpu ~= 0xFFFF then add_le(layer, fields["tap.cpu"], tvb(4, 2)) end
    for _, flag in ipairs(FLAGS) do
        if flag[2] == 0 or flags ~= 0 then
            add(layer, fields[flag[1]], tvb(3, 1), floor(flags / 2 ^ flag[2]) % 2 == 1)
        end
    end
end

function capture.dissector(buffer, pinfo, tree)
    start_packet(buffer, tree)
    local size = #bytes >= 2 and byte(bytes, 2) or 0
    local link = #bytes >= 7 and links[byte(bytes, 7)]
    if #bytes < TAP_SIZE or byte(bytes, 1) ~= 1 or size < TAP_SIZE or size > #bytes or not link then
        local layer = add(tree, tap, tvb())
        problem(layer, ERROR, "no tap header that this dissector knows", 0, #bytes)
        show_data(0, #bytes, pinfo, tree)
        set_columns(pinfo, "", "", "OTHER", format("%d bytes", #bytes))
        return #bytes
    end
    show_tap(size, pinfo, tree)
    local original = u32(12)
    if original > #bytes - size then
        problem(tree, NOTE, format("%.0f bytes were not captured", original - (#bytes - size)), 0, 0)
    end
    if #bytes > size then
        tvb = buffer(size):tvb()
        bytes = sub(bytes, size + 1)
        link(pinfo, tree)
    else
        if LAYERS[byte(bytes, 7)] then add(tree, LAYERS[byte(bytes, 7)], tvb(0, 0)) end
        problem(tree, ERROR, EMPTY[byte(bytes, 7)] or "there is no packet behind the tap header", 0, 0)
        set_columns(pinfo, "", "", "OTHER", "0 bytes")
    end
    return buffer:len()
end

qrtr.dissector = link_dissector(0)
qmux.dissector = link_dissector(1)
qmi.dissector = link_dissector(2)
for number, name in ipairs({ "qmi", "qrtr", "qmux", "data" }) do owners[number] = Dissector.get(name) end

-- ---- USER0 to USER15, as other programs write bare QMUX and QMI: told apart by their lengths

do
local function user_link()
    local at, size = 0, #bytes
    while at + 3 <= size and byte(bytes, at + 1) == 1 do at = at + 1 + u16(at + 1) end
    if size > 0 and at == size then return 1 end
    if size >= 7 and byte(bytes, 1) <= 5 and 7 + u16(5) == size then return 2 end
end

local encapsulations, names, before = DissectorTable.get("wtap_encap"), wtap_encaps or wtap, {}
local user = Proto("qmisniff.user", "QMUX or QMI of another program")
function user.dissector(buffer, pinfo, tree)
    start_packet(buffer, tree)
    local encapsulation = pinfo.match_uint
    local link = user_link() or encapsulation == names.USER0 and 1 -- QMUX is usual there
    if not link then return before[encapsulation] and before[encapsulation]:call(buffer, pinfo, tree) or 0 end
    links[link](pinfo, tree)
    return #bytes
end
for number = 0, 15 do
    local encapsulation = names["USER" .. number]
    before[encapsulation] = encapsulations:get_dissector(encapsulation)
    encapsulations:add(encapsulation, user)
end
end
