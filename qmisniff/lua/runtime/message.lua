---------------------------------------------------------------- QMI messages

local qmi = Proto("qmi", "QMI")
local REQUEST, RESPONSE, INDICATION = 0, 1, 2
local KINDS = { [0] = "Request", "Response", "Indication" }
local RESULT_TLV, MAX_TLVS, SHOWN_TLVS = 0x02, 256, 8
local data_dissector = Dissector.get("data")

-- Services by number, false for one without a definition. Lua looks again and again for garbage in all that there is:
-- the tables of a service, and the names of its fields, are made when its first message comes.
local services = setmetatable({}, { __index = function(known, number)
    local make = definitions.services[number]
    local service = make and make() or false
    known[number] = service
    if service then
        collect_service(service)
        for at, name in ipairs(take_names()) do fields[name] = service_fields[fields_before[number] + at] end
    end
    return service
end })
local service_names = definitions.service_names
local errors = definitions.errors

local function service_name(number) return service_names[number] or format("%.0f", number) end

-- Bytes that nothing is known of: Wireshark's own dissector shows them.
local function show_data(start, stop_, pinfo, tree)
    if start < stop_ and tree_wanted then data_dissector:call(tvb(start, stop_ - start):tvb(), pinfo, tree) end
end

-- What other packets say about a message, by the number that context_at() gives it. A table for each message would cost
-- more than all else that is kept: of most messages little is known, or nothing.
local service_of, instance_of, request_of, response_of, time_of

-- ---- TLVs

local RESULT_TYPE = { "struct", { "result", { "u", 2, enum = definitions.results } },
                      { "error", { "u", 2, enum = definitions.errors } } }

-- A TLV as it is used: its type is compiled when it is first met.
local function tlv_decoder(tlv, path)
    local kind = tlv[3]
    local layouts = kind[1] == "any" and { (table.unpack or unpack)(kind, 2) } or { kind }
    local inline = true -- the fields of a struct stand directly below the TLV
    for _, layout in ipairs(layouts) do inline = inline and layout[1] == "struct" end
    local protobuf = kind[1] == "bytes" and kind.protobuf
    return { id = tlv[1], name = tlv[2], mandatory = tlv.mandatory == nil and tlv[1] < 0x10 or tlv.mandatory,
             layouts = layouts, inline = inline, path = path, compiled = {}, protobuf = protobuf,
             heading = inline and fields[path] or nil }
end

local RESULT -- the decoder of the result TLV of every response

local function decode_with(decoder, layout, start, e, tree)
    local found = decoder.compiled[layout]
    if not found then
        local kind = decoder.layouts[layout]
        if kind[1] == "struct" then
            -- the struct's own name is the TLV's: no heading of its own
            found = compile_fields(kind, decoder.path)
        else
            found = compile(kind, decoder.path)
        end
        decoder.compiled[layout] = found
    end
    local done, at = pcall(found, start, e, tree, nil)
    if done then return at end
    if at ~= STOP then error(at, 0) end
    return stop_at, stop_reason
end

-- The first layout that uses up all bytes; the first of all where none does.
local function fitting(decoder, start, e)
    local count = #decoder.layouts
    if count == 1 then return 1 end
    local wanted, visible, left = tree_wanted, tree_visible, budget
    tree_wanted, tree_visible = false, false
    local found = 1
    for layout = 1, count do
        budget = MAX_FIELDS
        local at, reason = decode_with(decoder, layout, start, e, nil)
        if at == e and not reason then
            found = layout
            break
        end
    end
    tree_wanted, tree_visible, budget = wanted, visible, left
    return found
end

-- Severity and text of what is wrong with the value, and where the bytes begin that it leaves over.
local function tlv_value(decoder, start, e, tree)
    local at, reason = decode_with(decoder, fitting(decoder, start, e), start, e, tree)
    if at < e and tree_wanted then add(tree, fields["qmi.tlv.undecoded"], tvb(at, e - at)) end
    if reason then return reason == SHORT and ERROR or NOTE, decoder.name .. ": " .. reason, at end
    if at < e then return WARN, format("%s: %d bytes more than are described", decoder.name, e - at), at end
end

-- The result beside the TLV's name; a failure is remarkable.
local function show_result(item, start, value, e)
    if e - value < 4 then return end
    local result, code = u16(value), u16(value + 2)
    local name = errors[code]
    local text = name and format("%s (%d)", name, code) or format("%d", code)
    if result == 0 then
        if tree_visible then item:append_text(": SUCCESS (0)") end
        return
    end
    if tree_visible then item:append_text(": " .. text) end
    return "the request failed: " .. text
end

local tlv_heads_wanted -- the types and lengths of the message's TLVs are

local function one_tlv(kind, start, value, e, decoder, layer)
    local item
    if tree_wanted then
        local heading = decoder and decoder.heading
        if heading and field_wanted(layer, heading) then
            item = add(layer, heading, tvb(start, e - start))
        else -- without a name of its own it is there to be looked at only
            item = tree_visible and add(layer, tvb(start, e - start), "") or layer
        end
        if tree_visible then
            item:set_text(decoder and format("TLV 0x%02x %s", kind, decoder.name) or format("TLV 0x%02x", kind))
        end
        if tlv_heads_wanted then
            add(item, fields["qmi.tlv.type"], tvb(start, 1))
            add_le(item, fields["qmi.tlv.length"], tvb(start + 1, 2))
        end
        if not decoder then
            add(item, fields["qmi.tlv.value"], tvb(value, e - value))
            return
        end
    elseif not decoder then
        return
    end
    shown_text = nil
    local severity, text, at = tlv_value(decoder, value, e, item)
    if decoder == RESULT then
        local failure = show_result(item, start, value, e)
        if failure and not severity then
            severity, text, at = NOTE, failure, start
        elseif failure and at < e then
            problem(item or layer, NOTE, failure, start, e - start)
        end
    elseif tree_visible and not decoder.inline and shown_text and decoder.layouts[1][1] ~= "array" then
        item:append_text(sub(shown_text, (shown_text:find(": ", 1, true) or 0)))
    end
    if decoder.protobuf and not severity and item then
        local content = value + (decoder.layouts[1][2].prefix or 0)
        at = show_protobuf(content, e, item, 0)
        if at < e then
            local why = budget < 0 and BUDGET or "no protocol buffer from here on"
            severity, text = NOTE, decoder.name .. ": " .. why
        end
    end
    if severity then
        note_problem(severity, text)
        add_problem(item or layer, severity, text, at, e - at)
    end
end

-- ---- the message

-- The decoders of one kind (request, response, indication) of a message, made when it is first met; nil where the
-- definitions have no such message. `known` is false where they do not have this kind of it.
local function message_decoder(service, msgid, kind)
    local message = service and service.messages[msgid]
    if not message then return nil end
    message.made = message.made or {}
    local made = message.made[kind]
    if not made then
        made = { tlvs = {}, mandatory = {}, known = message.tlvs[kind + 1] and true or false, title = message[2] }
        for _, tlv in ipairs(message.tlvs[kind + 1] or {}) do
            local decoder = tlv_decoder(tlv, format("qmi.%s.%s.%s", service.name, message[1], tlv[2]))
            made.tlvs[tlv[1]] = decoder
        end
        if kind == RESPONSE then made.tlvs[RESULT_TLV] = RESULT end
        for _, tlv in ipairs(message.tlvs[kind + 1] or {}) do
            if made.tlvs[tlv[1]].mandatory and made.tlvs[tlv[1]] ~= RESULT then
                made.mandatory[#made.mandatory + 1] = made.tlvs[tlv[1]]
            end
        end
        if kind == RESPONSE then made.mandatory[#made.mandatory + 1] = RESULT end
        message.made[kind] = made
    end
    return made
end

local function tlvs(start, stop_, kind, decoder, layer)
    local known = decoder and decoder.tlvs or {}
    local complete = decoder and decoder.known
    local names, seen, failed, count, at = {}, {}, false, 0, start
    tlv_heads_wanted = field_wanted(layer, fields["qmi.tlv.type"]) or field_wanted(layer, fields["qmi.tlv.length"])
    while stop_ - at >= 3 do
        if count >= MAX_TLVS then
            problem(layer, ERROR, format("more than %d TLVs", MAX_TLVS), at, stop_ - at)
            break
        end
        count = count + 1
        local id, low, high = byte(bytes, at + 1, at + 3)
        local length, value = low + high * 256, at + 3
        local e = math.min(value + length, stop_)
        local tlv = known[id] or id == RESULT_TLV and kind == RESPONSE and RESULT or nil
        if tlv == RESULT then
            failed = not (e - value >= 2 and byte(bytes, value + 1) == 0 and byte(bytes, value + 2) == 0)
        else
            names[#names + 1] = tlv and tlv.name or format("0x%02x", id)
        end
        one_tlv(id, at, value, e, tlv, layer)
        if value + length > stop_ then
            local text = format("TLV 0x%02x says %d bytes, %d are left", id, length, stop_ - value)
            problem(layer, ERROR, text, at, e - at)
        elseif seen[id] then
            problem(layer, WARN, format("TLV 0x%02x again", id), at, e - at)
        elseif complete and not tlv then
            problem(layer, id < 0x10 and WARN or NOTE, format("TLV 0x%02x is not described", id), at, e - at)
        end
        seen[id] = true
        at = e
    end
    if at < stop_ then
        if tree_wanted then add(layer, fields["qmi.tlv.value"], tvb(at, stop_ - at)) end
        if stop_ - at < 3 then problem(layer, ERROR, format("%d bytes are no TLV", stop_ - at), at, stop_ - at) end
    end
    for _, missing in ipairs(decoder and decoder.mandatory or {}) do
        if not seen[missing.id] and (not failed or missing.id == RESULT_TLV) then
            problem(layer, WARN, format("mandatory TLV 0x%02x %s is missing", missing.id, missing.name), start, 0)
        end
    end
    return names
end

-- What the message's header says, or nil where the bytes end inside it.
local function parse_header(start, stop_, is_ctl)
    local size = is_ctl and 6 or 7
    if stop_ - start < size then return nil end
    local flags = byte(bytes, start + 1)
    if is_ctl then
        return { type = math.min(flags, 3), compound = false, txn = byte(bytes, start + 2), msgid = u16(start + 2),
                 length = u16(start + 4), tlvs = start + 6 }
    end
    return { type = math.min(floor(flags / 2), 3), compound = flags % 2 == 1, txn = u16(start + 1),
             msgid = u16(start + 3), length = u16(start + 5), tlvs = start + 7 }
end

local function looks_like_message(start, stop_)
    local header = parse_header(start, stop_, false)
    return header ~= nil and header.type <= INDICATION and header.tlvs + header.length == stop_
end

-- The fields of a generated header layout, as many as fit before `stop_`.
local function show_layout(layout, start, stop_, tree)
    local at = start
    for _, item in ipairs(layout) do
        if at + item[2] > stop_ then break end
        local field = fields[item[1]]
        if field_wanted(tree, field) then
            local shown = add_le(tree, field, tvb(at, item[2]))
            if tree_visible then number_alone(shown) end
        end
        at = at + item[2]
    end
end

local function show_header(layout, start, header, number, title, context, layer)
    if number then add_generated(layer, fields["qmi.service"], start, number) end
    local instance = instance_of[context]
    if instance then add_generated(layer, fields["qmi.instance"], start, instance) end
    local at = start
    for place, item in ipairs(layout) do
        local field = fields[item[1]]
        if field_wanted(layer, field) then
            local shown = add_le(layer, field, tvb(at, item[2]))
            if item[1] == "qmi.msgid" and title and tree_visible then
                shown:set_text(format("Message: %s (0x%04x)", title, header.msgid))
            end
        end
        if place == 1 then
            local flags = tvb(start, 1)
            add(layer, fields["qmi.type"], flags, header.type)
            add(layer, fields["qmi.compound"], flags, header.compound)
        end
        at = at + item[2]
    end
    local request, response, time = request_of[context], response_of[context], time_of[context]
    if request then add_generated(layer, fields["qmi.response_to"], start, request) end
    if response then add_generated(layer, fields["qmi.response_in"], start, response) end
    if time then add_generated(layer, fields["qmi.time"], start, time) end
end

local function info_text(header, title, failure, names)
    local text = format("%s: %s, txn %d", KINDS[header.type] or "Unknown type", title or format("0x%04x", header.msgid),
        header.txn)
    if failure then text = format("%s, error %d %s", text, failure, errors[failure] or "UNKNOWN") end
    if #names > 0 then
        text = format("%s (%s%s)", text, concat(names, ", ", 1, math.min(#names, SHOWN_TLVS)),
            #names > SHOWN_TLVS and " ..." or "")
    end
    return text
end

-- The error code of a failed request, for the Info column: of the first whole result TLV.
local function failure_of(start, stop_)
    local at = start
    while stop_ - at >= 3 do
        local id, length = byte(bytes, at + 1), u16(at + 1)
        if id == RESULT_TLV then
            local e = math.min(at + 3 + length, stop_)
            if e - at >= 5 and u16(at + 3) ~= 0 then return e - at >= 7 and u16(at + 5) or 0 end
            return nil
        end
        at = at + 3 + length
    end
end

-- The message in the bytes from `start` to `stop_`; `number` is its service, nil where that is not known. Returns what
-- the Protocol and Info columns say.
local function message(start, stop_, number, context, pinfo, tree)
    local is_ctl = number == 0
    local layout = is_ctl and definitions.layouts.ctl or definitions.layouts.qmi
    local protocol = number and "QMI_" .. service_name(number) or "QMI"
    local layer = tree
    if tree_wanted then layer = add(tree, qmi, part(start, stop_ - start)) end
    local header = parse_header(start, stop_, is_ctl)
    if not header then
        if tree_wanted then
            if number then add_generated(layer, fields["qmi.service"], start, number) end
            show_layout(layout, start, stop_, layer)
        end
        problem(layer, ERROR, "the QMI header is cut short", start, stop_ - start)
        return protocol, "cut short"
    end
    budget = MAX_FIELDS
    local service = number and services[number]
    local described = service and service.messages[header.msgid]
    local decoder = message_decoder(service, header.msgid, header.type)
    local title = described and (header.type == INDICATION and described[3] or described[2])
    if tree_wanted then show_header(layout, start, header, number, title, context, layer) end
    if header.type > INDICATION then problem(layer, ERROR, "neither request, response nor indication", start, 1) end
    if header.compound then
        problem(layer, NOTE, "a compound message: how its body is laid out is not public", start, 1)
    end
    local last = header.tlvs + header.length
    if last > stop_ then
        problem(layer, ERROR, format("%d bytes of the message are missing", last - stop_), header.tlvs - 2, 2)
    end
    if service and not decoder then
        problem(layer, NOTE, format("message 0x%04x is not described", header.msgid), header.tlvs - 4, 2)
    elseif decoder and not decoder.known and KINDS[header.type] then
        problem(layer, NOTE, format("%s is not described as %s", decoder.title, KINDS[header.type]:lower()), start, 1)
    end
    local names = tlvs(header.tlvs, math.min(last, stop_), header.type, decoder, layer)
    if last < stop_ then
        show_data(last, stop_, pinfo, tree)
        problem(layer, WARN, format("%d bytes after the message", stop_ - last), last, stop_ - last)
    end
    local failure
    if header.type == RESPONSE then failure = failure_of(header.tlvs, math.min(last, stop_)) end
    local text = info_text(header, title, failure, names)
    if tree_visible then layer:set_text(protocol .. ", " .. text) end
    return protocol, text
end
