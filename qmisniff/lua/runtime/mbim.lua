---------------------------------------------------------------- MBIM, as far as it carries QMUX frames

local show_mbim, is_qmi_in_mbim -- what the other parts use of this one
do
local LAYOUTS = definitions.mbim
local HEAD, FRAGMENTS, UUID_SIZE = 12, 8, 16

local function layout_size(layout)
    local size = 0
    for _, item in ipairs(layout) do size = size + item[2] end
    return size
end

-- Whether the whole buffer is an unfragmented message of the device service that carries QMI.
function is_qmi_in_mbim()
    local size = #bytes
    local tail = size >= HEAD + FRAGMENTS + UUID_SIZE and LAYOUTS.tails[u32(0)]
    return tail and u32(4) == size and u32(16) == 0 and sub(bytes, 21, 36) == LAYOUTS.qmi_uuid and
        size >= 36 + layout_size(tail) and u32(36) == LAYOUTS.qmi_cid
end

-- The message; returns the columns' texts where it carries QMI.
function show_mbim(pinfo, tree)
    local size = #bytes
    local kind = size >= 4 and u32(0) or -1
    local layer = tree
    if tree_visible then layer = tree:add(tvb(), "MBIM: " .. (LAYOUTS.types[kind] or "unknown type")) end
    local function show(layout, at)
        if tree_wanted then show_layout(layout, at, size, layer) end
        return at + layout_size(layout)
    end
    show(LAYOUTS.header, 0)
    if size < HEAD then return problem(layer, ERROR, "the MBIM header is cut short", 0, size) end
    local tail, plain = LAYOUTS.tails[kind], LAYOUTS.plain[kind]
    if not tail then return show_data(plain and show(plain, HEAD) or HEAD, size, pinfo, tree) end
    local at = show(LAYOUTS.fragment, HEAD)
    if size >= at and u32(16) ~= 0 then
        problem(layer, NOTE, "a later fragment: fragments are not put together", 0, at)
        return show_data(at, size, pinfo, tree)
    end
    local start = at + UUID_SIZE + layout_size(tail)
    if size < start then
        problem(layer, ERROR, "the MBIM header is cut short", 0, size)
        return show_data(at, size, pinfo, tree)
    end
    if tree_wanted then layer:add(fields["mbim.service"], tvb(at, UUID_SIZE)) end
    show(tail, at + UUID_SIZE)
    local last = math.min(start + u32(start - 4), size)
    if start + u32(start - 4) > size then
        problem(layer, ERROR, format("%.0f bytes of the buffer are missing", start + u32(start - 4) - size), start,
            last - start)
    end
    if sub(bytes, at + 1, at + UUID_SIZE) ~= LAYOUTS.qmi_uuid or u32(at + UUID_SIZE) ~= LAYOUTS.qmi_cid or
        last <= start then
        show_data(start, last, pinfo, tree)
        return show_data(last, size, pinfo, tree)
    end
    local stop_, protocol, info, from_modem = show_frame(start, last, pinfo, tree)
    show_rest(stop_, last, pinfo, tree)
    show_data(last, size, pinfo, tree)
    return protocol, info, from_modem
end
end
