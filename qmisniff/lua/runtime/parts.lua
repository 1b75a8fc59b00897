---------------------------------------------------------------- messages that came in parts

-- A part, from `start` to the end of the bytes, of a message that does not end in them. Returns the Info column's text.
local function show_part(protocol, start, transfer, pinfo, tree)
    local size = #bytes - start
    local text = format("%d bytes, part of a message", size)
    local layer = tree
    if tree_wanted then
        layer = add(tree, fields[protocol .. ".piece"], tvb(start, size))
        if tree_visible then layer:set_text("Part of a message: " .. text) end
        if transfer.whole_in then
            add_generated(layer, fields[protocol .. ".reassembled_in"], start, transfer.whole_in)
        end
        show_data(start, #bytes, pinfo, tree)
    end
    if pinfo.visited and not transfer.whole_in then
        problem(layer, WARN, "the rest of this message is missing", start, size)
    end
    return text
end

-- Calls `show` with the item of the whole message, and with its bytes in place of the packet's.
local function in_whole(protocol, whole, transfer, tree, show)
    local packet_tvb, packet_bytes = tvb, bytes
    tvb, bytes = ByteArray.new(whole, true):tvb("Reassembled " .. protocol:upper()), whole
    local layer = tree
    if tree_wanted then
        layer = add(tree, fields[protocol .. ".reassembled"], tvb())
        if tree_visible then layer:set_text(format("Reassembled message: %d bytes", #whole)) end
        for _, number in ipairs(transfer.parts) do
            add_generated(layer, fields[protocol .. ".part"], 0, number)
        end
    end
    show(layer)
    tvb, bytes = packet_tvb, packet_bytes
end
