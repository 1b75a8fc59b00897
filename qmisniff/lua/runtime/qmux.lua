---------------------------------------------------------------- QMUX

local first_message, more_messages -- what the columns say of a packet's first message; how many follow it

local device = "" -- that of USB whose packet it is

local function start_messages() first_message, more_messages, device = nil, 0, "" end

local frame_end, begins, show_frame, show_rest, show_frames, message_columns, qmux_columns
do
local LEAST_FRAME = 12 -- bytes: there is no frame without the header of a message

function frame_end(start) return start + 1 + u16(start + 1) end

-- Whether a frame begins at `start` beyond doubt: its length is that of the bytes, or the message in it has just the
-- length that fits into it; then it may be longer than the bytes, or others may follow.
function begins(start, stop_)
    if stop_ - start < LEAST_FRAME or byte(bytes, start + 1) ~= 1 then return false end
    local flags, last = byte(bytes, start + 4), frame_end(start)
    if flags ~= 0 and flags ~= 0x80 or last - start < LEAST_FRAME then return false end
    if last == stop_ then return true end
    local length_at = start + (byte(bytes, start + 5) == 0 and 10 or 11)
    return length_at + 2 <= stop_ and length_at + 2 + u16(length_at) == last
end

-- The frame at `start`; returns where what follows it begins.
function show_frame(start, stop_, pinfo, tree)
    local wide = start < stop_ and byte(bytes, start + 1) == 2
    local layout = wide and definitions.layouts.qmux_wide or definitions.layouts.qmux
    local head = start + 6
    local layer = tree
    if tree_wanted then
        layer = add(tree, qmux, part(start, math.min(head, stop_) - start))
        show_layout(layout, start, stop_, layer)
    end
    if head > stop_ then
        problem(layer, ERROR, "the QMUX header is cut short", start, stop_ - start)
        return stop_
    end
    local marker, last = byte(bytes, start + 1), frame_end(start)
    local from_modem = not wide and byte(bytes, start + 4) == 0x80
    if marker ~= 1 and marker ~= 2 then
        problem(layer, ERROR, "not a QMUX frame: the marker is not 0x01", start, 1)
        show_data(head, stop_, pinfo, tree)
        return stop_
    end
    local service = wide and u16(start + 3) or byte(bytes, start + 5)
    local client = byte(bytes, start + 6)
    if last < head or last > stop_ then
        local text = last > stop_ and format("%d bytes of the frame are missing", last - stop_) or
            "shorter than its header"
        problem(layer, ERROR, text, start + 1, 2)
        last = stop_
    end
    local context, first = context_at(pinfo, start)
    if first and not wide then
        local header = parse_header(head, stop_, service == 0)
        if header then
            local key = ((service * 256 + client) * 65536 + header.txn) * 65536 + header.msgid
            if device ~= "" then key = format("%s %.0f", device, key) end
            pair(pinfo, context, header, key)
        end
    end
    local protocol, info = message(head, last, service, context, pinfo, tree)
    if first_message then
        more_messages = more_messages + 1
    else
        first_message = { protocol = protocol, info = info, from_modem = from_modem }
    end
    return last
end

-- Some senders pad a frame with zeros.
function show_rest(start, stop_, pinfo, tree)
    if start >= stop_ then return end
    show_data(start, stop_, pinfo, tree)
    if sub(bytes, start + 1, stop_):find("[^\0]") or stop_ - start > 3 then
        problem(tree, WARN, format("%d bytes after the frame", stop_ - start), start, stop_ - start)
    end
end

-- All frames from `start` on, of which the first is one for sure.
function show_frames(start, stop_, pinfo, tree)
    local at = show_frame(start, stop_, pinfo, tree)
    while begins(at, stop_) do at = show_frame(at, stop_, pinfo, tree) end
    show_rest(at, stop_, pinfo, tree)
end

-- Protocol and Info: of the first message in the packet, or what is given for a packet without one.
function message_columns(pinfo, source, destination, protocol, info)
    if first_message then
        protocol, info = first_message.protocol, first_message.info
        if more_messages > 0 then info = format("%s (and %d more)", info, more_messages) end
    end
    set_columns(pinfo, source, destination, protocol, info)
end

-- For packets that do not say who sent them: a frame has a flag for that; others have their direction, or are answers.
function qmux_columns(pinfo, protocol, info, is_answer)
    local from_modem = pinfo.p2p_dir == 1 or pinfo.p2p_dir < 0 and is_answer
    if first_message then from_modem = first_message.from_modem end
    local source, destination = "host", "modem"
    if from_modem then source, destination = destination, source end
    message_columns(pinfo, source, destination, protocol, info)
end
end
