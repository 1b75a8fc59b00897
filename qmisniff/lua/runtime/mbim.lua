---------------------------------------------------------------- MBIM, as far as it carries QMUX frames

local mbim_head, show_mbim -- what the other parts use of this one
local MBIM_BODY = 20 -- bytes: where what fragments are put together from begins in each of them
do
local MBIM = definitions.mbim
local MBIM_HEAD, UUID_SIZE = 12, 16
collect("mbim", "MBIM", "protocol", 0)

local function layout_size(layout)
    local size = 0
    for _, item in ipairs(layout) do size = size + item[2] end
    return size
end

-- What the headers say of the message, or fragment of one, that fills the bytes, of which the capture has left out
-- `missing` at the end; nil where they are not beyond doubt one.
function mbim_head(missing)
    local size = #bytes
    if size < MBIM_HEAD then return nil end
    local kind, length = u32(0), u32(4)
    if not MBIM.types[kind] or length ~= size + missing then return nil end
    local tail, plain = MBIM.tails[kind], MBIM.plain[kind]
    if not tail then
        if length ~= MBIM_HEAD + (plain and layout_size(plain) or 0) then return nil end
        return { kind = kind, txn = u32(8), fragments = 1, fragment = 0 }
    end
    if size < MBIM_BODY then return nil end
    local head = { kind = kind, txn = u32(8), fragments = u32(12), fragment = u32(16) }
    if head.fragment >= head.fragments then return nil end
    if head.fragment == 0 and size < MBIM_BODY + UUID_SIZE + layout_size(tail) then return nil end
    return head
end

-- Where the QMUX frames in the body at `start` of a message begin and end; nil where there are none.
local function qmi_buffer(kind, start)
    local at = start + UUID_SIZE + layout_size(MBIM.tails[kind])
    if #bytes < at or sub(bytes, start + 1, start + UUID_SIZE) ~= MBIM.qmi_uuid then return nil end
    local stop_ = math.min(at + u32(at - 4), #bytes)
    if u32(start + UUID_SIZE) ~= MBIM.qmi_cid or stop_ <= at then return nil end
    return at, stop_
end

-- What follows the headers of the fragments: device service, command, buffer.
local function show_mbim_body(kind, start, pinfo, tree, layer)
    local size, tail = #bytes, MBIM.tails[kind]
    if tree_wanted then
        add(layer, fields["mbim.service"], tvb(start, UUID_SIZE))
        show_layout(tail, start + UUID_SIZE, size, layer)
    end
    local at = start + UUID_SIZE + layout_size(tail)
    local last = at + u32(at - 4)
    if last > size then
        problem(layer, ERROR, format("%.0f bytes of the buffer are missing", last - size), at, size - at)
        last = size
    end
    local frames, stop_ = qmi_buffer(kind, start)
    if frames then
        show_frames(frames, stop_, pinfo, tree)
    else
        show_data(at, last, pinfo, tree)
    end
    show_data(last, size, pinfo, tree)
end

-- The message; `transfer` is what other packets say about it. Returns what the Info column says of one without QMI.
function show_mbim(transfer, pinfo, tree)
    local size = #bytes
    local kind = size >= 4 and u32(0) or -1
    local layer, name = tree, MBIM.types[kind]
    if tree_wanted then
        if fields.mbim then layer = add(tree, fields.mbim, tvb()) end
        if tree_visible and fields.mbim then layer:set_text("MBIM: " .. (name or "unknown type")) end
        show_layout(MBIM.header, 0, size, layer)
    end
    if size < MBIM_HEAD then
        problem(layer, ERROR, "the MBIM header is cut short", 0, size)
        return name
    end
    local tail, plain = MBIM.tails[kind], MBIM.plain[kind]
    if not tail then
        if plain and tree_wanted then show_layout(plain, MBIM_HEAD, size, layer) end
        show_data(MBIM_HEAD + (plain and layout_size(plain) or 0), size, pinfo, tree)
        return name
    end
    if tree_wanted then show_layout(MBIM.fragment, MBIM_HEAD, size, layer) end
    if transfer.unfinished then
        return show_part("mbim", transfer.unfinished, transfer, pinfo, tree)
    elseif transfer.earlier then
        in_whole("mbim", transfer.earlier .. sub(bytes, MBIM_BODY + 1), transfer, tree, function(whole)
            show_mbim_body(kind, 0, pinfo, tree, whole)
        end)
    elseif size >= MBIM_BODY and u32(16) ~= 0 then
        problem(layer, WARN, "the fragments before this one are missing", 0, MBIM_BODY)
        show_data(MBIM_BODY, size, pinfo, tree)
    elseif size < MBIM_BODY + UUID_SIZE + layout_size(tail) then
        problem(layer, ERROR, "the MBIM header is cut short", 0, size)
        show_data(MBIM_BODY, size, pinfo, tree)
    else
        show_mbim_body(kind, MBIM_BODY, pinfo, tree, layer)
    end
    return name
end
end
