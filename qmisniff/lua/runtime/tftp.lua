---------------------------------------------------------------- TFTP over QRTR
-- The names are those of Wireshark's own dissector, which knows a transfer by its UDP ports only.

local show_tftp -- what the other parts use of this one
do
local OPCODES, ERRORS = definitions.tftp_opcodes, definitions.tftp_errors
local RRQ, DATA, ACK, FAILED, OACK = 1, 3, 4, 5, 6
local MAX_OPTIONS = 64
collect("tftp", "TFTP", "protocol", 0)

-- The texts from p on, each up to a zero byte: name of its field, label, text, start, size. At most as many as `names`
-- has, and after those pairs of an option's name and value. Also where they end, and what is wrong.
local function texts(p, e, names, options)
    local found = {}
    for at = 1, #names + options * 2 do
        if p >= e then break end
        local name = names[at] or ((at - #names) % 2 == 1 and "option.name" or "option.value")
        local zero = bytes:find("\0", p + 1, true)
        local stop_ = zero and zero <= e and zero - 1 or e
        found[at] = { "tftp." .. name, valid_utf8(sub(bytes, p + 1, stop_)), p, math.min(stop_ + 1, e) - p }
        if stop_ == e then return found, e, definitions.tftp_labels["tftp." .. name]:lower() .. " without an end" end
        p = stop_ + 1
    end
    return found, p
end

local function show_number(name, p, tree)
    local field = fields[name]
    if field and tree_wanted then add(tree, field, tvb(p, 2)) end
    return big(p, 2)
end

local function show_texts(found, tree)
    for _, each in ipairs(found) do
        local field = fields[each[1]]
        if field and tree_wanted then add(tree, field, tvb(each[3], each[4]), each[2]) end
    end
end

-- What the packet says in a line, where it ends, and what is wrong with it.
local function parse(start, e, tree)
    if e - start < 2 then return "cut short", start, "the TFTP packet is cut short" end
    local opcode = show_number("tftp.opcode", start, tree)
    local text, at = OPCODES[opcode], start + 2
    if not text then
        return format("opcode %d", opcode), at, format("TFTP opcode %d is unknown", opcode)
    end
    local wrong
    if opcode == DATA or opcode == ACK or opcode == FAILED then
        if e - at < 2 then return text, at, "the TFTP packet is cut short" end
        local number = show_number(opcode == FAILED and "tftp.error.code" or "tftp.block", at, tree)
        at = at + 2
        if opcode == FAILED then
            local found
            found, at, wrong = texts(at, e, { "error.message" }, 0)
            show_texts(found, tree)
            text = format("%s, Code: %s", text, ERRORS[number] or number)
            if found[1] then text = format("%s, Message: %s", text, found[1][2]) end
        else
            text = format("%s, Block: %d", text, number)
        end
    else
        local names = opcode == OACK and {} or { opcode == RRQ and "source_file" or "destination_file", "type" }
        local found
        found, at, wrong = texts(at, e, names, MAX_OPTIONS)
        show_texts(found, tree)
        local parts = { text }
        for place, label in ipairs({ "File", "Transfer type" }) do
            if names[place] and found[place] then parts[#parts + 1] = format("%s: %s", label, found[place][2]) end
        end
        for place = #names + 1, #found - 1, 2 do
            parts[#parts + 1] = format("%s=%s", found[place][2], found[place + 1][2])
        end
        text = concat(parts, ", ")
        if #found < #names then
            wrong = wrong or "there is no " .. definitions.tftp_labels["tftp." .. names[#found + 1]]:lower()
        elseif (#found - #names) % 2 == 1 then
            wrong = wrong or "the last option has no value"
        end
    end
    if opcode ~= DATA and at < e then wrong = wrong or format("%d bytes after the TFTP packet", e - at) end
    return text, at, wrong
end

function show_tftp(start, e, pinfo, tree)
    local layer = tree
    if tree_wanted and fields.tftp then
        tree_wanted = false -- first look where it ends: the file's bytes are no part of it
        local _, last = parse(start, e)
        tree_wanted = true
        layer = add(tree, fields.tftp, part(start, last - start))
    end
    local text, at, wrong = parse(start, e, layer)
    if tree_visible and layer ~= tree then layer:set_text("TFTP: " .. text) end
    if wrong then problem(layer, WARN, wrong, start, at - start) end
    show_data(at, e, pinfo, tree)
    return text
end
end
