---------------------------------------------------------------- USB
-- Wireshark hands over what the control pipe carries, whichever capture format it came in: what follows bmRequestType
-- (bRequest, wValue, wIndex, wLength, data) where a request is sent, the data alone where it is answered.

local SEND_ENCAPSULATED_COMMAND, SETUP_SIZE = 0, 7

local function is_frame(start)
    if #bytes - start < 12 or byte(bytes, start + 1) ~= 1 then return false end
    local length, flags = u16(start + 1), byte(bytes, start + 4)
    return length >= 11 and start + 1 + length <= #bytes and (flags == 0 or flags == 0x80)
end

local function usb_control(buffer, pinfo, tree)
    if buffer:len() < 12 then return false end
    start_packet(buffer, tree, qmi_dissector)
    local start = 0
    if byte(bytes, 1) == SEND_ENCAPSULATED_COMMAND and u16(5) == #bytes - SETUP_SIZE then
        start = SETUP_SIZE
        tvb, bytes = buffer(start):tvb(), sub(bytes, start + 1)
    end
    if is_frame(0) then
        show_frames(0, #bytes, pinfo, tree)
        return true
    elseif is_qmi_in_mbim() then
        local protocol, info, from_modem = show_mbim(pinfo, tree)
        qmux_columns(pinfo, protocol, info, from_modem)
        return true
    end
    return false
end

qmux:register_heuristic("usb.control", usb_control)
