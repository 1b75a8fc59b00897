---------------------------------------------------------------- QRTR

local capture = Proto("qmisniff", "qmisniff capture") -- by this name exported PDUs ask for its dissector
local tap = Proto("tap", "Tap header")
local qrtr = Proto("qrtr", "QRTR")
local qmux = Proto("qmux", "QMUX")
local set_columns, show_packet -- what the other parts use of this one
do
local PACKET_TYPES = definitions.packet_types

local function port_text(port)
    if CONTROL_PORTS[port] then return "CTRL" end
    return port >= 0x4000 and format("0x%x", port) or format("%d", port)
end

local function address_text(node, port)
    return (node == 0xFFFFFFFF and "BCAST" or format("%.0f", node)) .. ":" .. port_text(port)
end

function set_columns(pinfo, source, destination, protocol, info)
    local columns = pinfo.cols
    columns.src = source
    columns.dst = destination
    columns.protocol = protocol
    if worst == ERROR then info = format("%s [%s]", info, worst_text) end
    columns.info = info
end

-- The version 2 header has 16-bit ports; the kernel widens the control port.
local function wide_port(port) return port == 0xFFFE and 0xFFFFFFFE or port end

local function parse_packet(size)
    local version = size > 0 and byte(bytes, 1)
    if version == 1 and size >= 32 then
        return { type = u32(4), src_node = u32(8), src_port = u32(12), dst_node = u32(24), dst_port = u32(28),
                 payload = 32, size = u32(20) }
    elseif version == 3 and size >= 16 then
        return { type = byte(bytes, 2), src_node = u16(8), src_port = wide_port(u16(10)), dst_node = u16(12),
                 dst_port = wide_port(u16(14)), payload = 16 + byte(bytes, 4), size = u32(4) }
    end
end

-- Source and destination under one name, which filters know and no tree shows.
local function show_ends(layout, size, layer)
    if not (field_wanted(layer, fields["qrtr.node"]) or field_wanted(layer, fields["qrtr.port"])) then return end
    local at = 0
    for _, item in ipairs(layout) do
        local field = fields[definitions.ends[item[1]] or false]
        if field and at + item[2] <= size then
            local value = little(at, item[2])
            if item[2] == 2 and item[1]:find("_port$") then value = wide_port(value) end
            set_hidden(add(layer, field, tvb(at, item[2]), value))
        end
        at = at + item[2]
    end
end

local function show_packet_header(size, layer)
    local version = size > 0 and byte(bytes, 1)
    if version == 1 then
        show_ends(definitions.layouts.qrtr_v1, size, layer)
        return show_layout(definitions.layouts.qrtr_v1, 0, size, layer)
    end
    if version ~= 3 then return end
    show_ends(definitions.layouts.qrtr_v2, size, layer)
    local at = 0
    for _, item in ipairs(definitions.layouts.qrtr_v2) do
        if at + item[2] > size then return end
        local shown
        if item[1]:find("_port$") then
            shown = add(layer, fields[item[1]], tvb(at, 2), wide_port(u16(at)))
        else
            shown = add_le(layer, fields[item[1]], tvb(at, item[2]))
        end
        if tree_visible then number_alone(shown) end
        if item[1] == "qrtr.flags" then
            add(layer, fields["qrtr.confirm_rx"], tvb(at, 1), byte(bytes, at + 1) % 2)
        end
        at = at + item[2]
    end
    local options = math.min(byte(bytes, 4), size - at)
    if options > 0 then add(layer, fields["qrtr.options"], tvb(at, options)) end
end

-- What the fields of a control packet are, by its command: name, offset, size.
local function show_control_fields(command, start, stop_, layer)
    local labels = definitions.instance_labels
    for _, item in ipairs(definitions.control_forms[command] or definitions.control_forms.other) do
        local name, at, size = item[1], start + item[2], item[3]
        if at + size > stop_ then return end
        local shown = add_le(layer, fields[name], tvb(at, size))
        if tree_visible then number_alone(shown) end
        if name == "qrtr.ctrl.instance" then
            local service, word = u32(start + 4), u32(start + 8)
            local label = labels[service] and labels[service][floor(word / 256)]
            if label and tree_visible then shown:append_text(" (" .. label .. ")") end
            if service == 4097 then
                add(layer, fields["qrtr.ctrl.diag.processor"], tvb(start + 8, 4), floor(word / 64))
                add(layer, fields["qrtr.ctrl.diag.channel"], tvb(start + 8, 4), word % 64)
            end
        end
    end
end

local function instance_text(service, word)
    local means = {}
    local labels = definitions.instance_labels[service]
    means[#means + 1] = labels and labels[floor(word / 256)]
    if service == 4097 then
        means[#means + 1] = definitions.diag_processors[floor(word / 64)]
        means[#means + 1] = definitions.diag_channels[word % 64]
    end
    local text = format(" v%d i%d", word % 256, floor(word / 256))
    return #means > 0 and format("%s (%s)", text, concat(means, " ")) or text
end

local function control_info(command, start, size)
    local name = PACKET_TYPES[command] or format("type %.0f", command)
    if command == BYE or command == DEL_CLIENT or command == RESUME_TX then
        return size >= 12 and format("%s %s", name, address_text(u32(start + 4), u32(start + 8))) or name
    elseif command == 13 then
        return size >= 12 and format("%s %.0f", name, u32(start + 8)) or name
    end
    local form = definitions.control_forms[command]
    if size < 20 or not form or form[2][1] ~= "qrtr.ctrl.service" then return name end
    local service, word, port = u32(start + 4), u32(start + 8), u32(start + 16)
    local which = instance_text(service, word)
    if command == NEW_LOOKUP or command == DEL_LOOKUP then
        local what = service ~= 0 and service_name(service) or "all services"
        return format("%s %s%s", name, what, word ~= 0 and which or "")
    end
    if service == 0 and port == 0 then return name .. " end of list" end
    return format("%s %s%s @ %s", name, service_name(service), which, address_text(u32(start + 12), port))
end

local function show_control(header, start, stop_, tree)
    local size = stop_ - start
    local command = size >= 4 and u32(start) or nil
    local layer = tree
    if tree_wanted then
        layer = add(tree, fields["qrtr.ctrl"], tvb(start, size))
        if tree_visible then
            local name = command and (PACKET_TYPES[command] or format("command %.0f", command)) or ""
            layer:set_text("QRTR control packet: " .. name)
        end
        if command then show_control_fields(command, start, stop_, layer) end
    end
    if size < 20 then
        problem(layer, ERROR, "a control packet has 20 bytes", start, size)
    elseif size > 20 then
        problem(layer, WARN, format("%d bytes after the control packet", size - 20), start + 20, size - 20)
    end
    if header.type ~= DATA and command and command ~= header.type then
        problem(layer, WARN, "the command is not the packet's type", start, 4)
    end
    return control_info(command or header.type, start, size)
end

-- What a service is sent or sends: QMI, unless it is known or seen to be something else.
local function show_payload(start, stop_, context, pinfo, tree)
    local service = service_of[context]
    if service == TFTP then return "TFTP", show_tftp(start, stop_, pinfo, tree) end
    if services[service or -1] or not NOT_QMI[service or -1] and looks_like_message(start, stop_) then
        return message(start, stop_, service, context, pinfo, tree)
    end
    show_data(start, stop_, pinfo, tree)
    if service and tree_wanted then add_generated(tree, fields["qrtr.service"], start, service) end
    if service then return service_name(service), format("%d bytes", stop_ - start) end
end

local function show_trailer(start, size, tree)
    local layer = tree
    if tree_wanted then
        layer = add(tree, fields["qrtr.trailer"], tvb(start, size - start))
        add(layer, fields["qrtr.padding"], tvb(start, size - start))
    end
    if size - start > 3 then
        problem(layer, WARN, format("%d bytes after the payload", size - start), start, size - start)
    end
end

function show_packet(pinfo, tree)
    local size = #bytes
    local header = parse_packet(size)
    local layer = tree
    if not header or header.payload > size then
        if tree_wanted then
            layer = add(tree, qrtr, tvb(0, size))
            show_packet_header(size, layer)
        end
        local version = size > 0 and byte(bytes, 1)
        local known = version == 1 or version == 3
        problem(layer, ERROR, known and "the QRTR header is cut short" or "not a QRTR packet", 0, size)
        if not known then show_data(0, size, pinfo, tree) end
        local source, destination = "", ""
        if header then
            source = address_text(header.src_node, header.src_port)
            destination = address_text(header.dst_node, header.dst_port)
        end
        set_columns(pinfo, source, destination, "QRTR", header and PACKET_TYPES[header.type] or "not a QRTR packet")
        return
    end
    local name = PACKET_TYPES[header.type]
    local source, destination = address_text(header.src_node, header.src_port),
        address_text(header.dst_node, header.dst_port)
    if tree_wanted then
        layer = add(tree, qrtr, part(0, header.payload))
        if tree_visible then
            layer:set_text(format("QRTR: %s, %s > %s", name or format("type %.0f", header.type), source, destination))
        end
        show_packet_header(size, layer)
    end
    if not name then
        problem(layer, WARN, format("packet type %.0f is unknown", header.type), 0, header.payload)
    end
    local start, stop_ = header.payload, header.payload + header.size
    if stop_ > size then
        problem(layer, ERROR, format("%.0f bytes of the payload are missing", stop_ - size), 0, header.payload)
        stop_ = size
    end
    local context, first = context_at(pinfo, 0)
    local to_names = header.src_port == 0xFFFFFFFE or header.dst_port == 0xFFFFFFFE
    if first then
        if header.type == DATA then
            learn_data(pinfo, header, start, stop_, context)
        else
            learn_control(header, start, stop_)
        end
    end
    local protocol, info
    if header.type ~= DATA or to_names and stop_ - start == 20 then
        protocol, info = "QRTR", show_control(header, start, stop_, tree)
    elseif stop_ > start then
        protocol, info = show_payload(start, stop_, context, pinfo, tree)
    end
    if stop_ < size then show_trailer(stop_, size, tree) end
    info = info or (header.type == DATA and format("DATA, %.0f bytes", header.size) or name or "")
    set_columns(pinfo, source, destination, protocol or "QRTR", info)
end
end
