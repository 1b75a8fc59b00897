---------------------------------------------------------------- USB
-- Wireshark hands over what the control pipe carries, whichever capture format it came in: what follows bmRequestType
-- (bRequest, wValue, wIndex, wLength, data) where a request is submitted, the data alone where it is completed. It knows
-- to which submission a completion belongs; completions without one, and those of standard requests, it keeps.

do
local SEND_COMMAND, GET_RESPONSE, SETUP_SIZE = 0, 1, 7
local NO_PORT = 4294967295 -- of the host
collect("usbcom", "CDC notification", "protocol", 0)

-- bmRequestType is out of reach: the fields have Wireshark's own names, which shows them of requests that it knows.
local function show_setup(buffer, tree)
    add(tree, fields["usb.setup.bRequest"], buffer(0, 1))
    add_le(tree, fields["usb.setup.wValue"], buffer(1, 2))
    add_le(tree, fields["usb.setup.wIndex"], buffer(3, 2))
    add_le(tree, fields["usb.setup.wLength"], buffer(5, 2))
end

local function usb_control(buffer, pinfo, tree)
    if buffer:len() == 0 then return false end
    start_packet(buffer, tree)
    start_messages()
    local number, missing = pinfo.number, buffer:reported_len() - buffer:len()
    local source, destination = tostring(pinfo.src), tostring(pinfo.dst)
    local to_device = pinfo.src_port == NO_PORT
    device = (to_device and destination or source):match("^%d+%.%d+") or ""
    if to_device then
        if #bytes < SETUP_SIZE then return false end
        local request, left_out = byte(bytes, 1), u16(5) - (#bytes - SETUP_SIZE)
        if #bytes == SETUP_SIZE and left_out > 0 and not pinfo.visited then -- something is asked of the device
            responses[device] = request == GET_RESPONSE and (responses[device] or 0) + 1 or 0
        end
        if request ~= SEND_COMMAND or #bytes == SETUP_SIZE or left_out < 0 then return false end
        missing = math.max(missing, left_out)
        tvb, bytes = buffer(SETUP_SIZE):tvb(), sub(bytes, SETUP_SIZE + 1)
    elseif not pinfo.visited and (responses[device] or 0) > 0 then
        note(number)
    end
    local transfer = to_device and note(number) or transfers[number]
    if not transfer then return false end
    if not pinfo.visited then learn_transfer(number, device .. (to_device and ">" or "<"), missing) end
    local protocol, info = show_transfer(transfer, missing, pinfo, tree)
    if not protocol then return false end
    if not pinfo.visited and not to_device then responses[device] = responses[device] - 1 end
    message_columns(pinfo, source, destination, protocol, info)
    -- Messages of MBIM's own services Wireshark shows itself, and better, where it knows the interface's class.
    if protocol == "MBIM" and not first_message then return false end
    if to_device and tree_wanted then show_setup(buffer, tree) end
    return true
end

local function usb_interrupt(buffer, pinfo, tree)
    if buffer:len() ~= 8 or pinfo.src_port == NO_PORT then return false end
    start_packet(buffer, tree)
    if byte(bytes, 1) ~= 0xA1 or u16(6) ~= 0 then return false end
    local code = byte(bytes, 2)
    local name = definitions.notifications[code] or format("notification 0x%02x", code)
    local layer = tree
    if tree_wanted then
        if fields.usbcom then layer = add(tree, fields.usbcom, tvb()) end
        if tree_visible and fields.usbcom then layer:set_text("CDC notification: " .. name) end
        show_layout(definitions.layouts.notification, 0, 8, layer)
    end
    pinfo.cols.info = format("interrupt in, %s, 8 bytes", name)
    return true
end

qmux:register_heuristic("usb.control", usb_control)
qmux:register_heuristic("usb.interrupt", usb_interrupt)
end
