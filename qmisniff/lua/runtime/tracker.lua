---------------------------------------------------------------- what frames say about each other
-- A QRTR data packet does not name its service, nor a request its response. Frames are learnt from when they are first
-- seen, in the order of the capture; what was found out about each is kept for every later look at it.

local servers, file_clients, transfers, open_requests
local looked_in, looked_at -- the frame that was learnt from last, and the messages in it

local function forget()
    servers, file_clients, transfers = {}, {}, {} -- "node:port" -> what is there
    open_requests = {} -- key that a request and its response share -> its frame
    service_of, instance_of, request_of, response_of, time_of = {}, {}, {}, {}, {}
    looked_in, looked_at = nil, nil
end

local DATA, HELLO, BYE, NEW_SERVER, DEL_SERVER, DEL_CLIENT, RESUME_TX = 1, 2, 3, 4, 5, 6, 7
local NEW_LOOKUP, DEL_LOOKUP = 10, 11
local CONTROL_PORTS = { [0xFFFFFFFE] = true, [0xFFFFFFFF] = true, [0x0000FFFF] = true }
local TFTP = 4096
local NOT_QMI = { [4096] = true, [4097] = true, [5012] = true }

local function place(node, port) return format("%.0f:%.0f", node, port) end

-- A number for the message at `start`, and whether this is the first look at it.
local function context_at(pinfo, start)
    local frame = pinfo.number
    local context = frame + (tvb:offset() + start) * 4294967296
    if pinfo.visited then return context, false end
    if looked_in ~= frame then looked_in, looked_at = frame, {} end
    local first = not looked_at[context]
    looked_at[context] = true
    return context, first
end

-- Pairs a message with its request or response.
local function pair(pinfo, context, header, key)
    if header.type == REQUEST then
        open_requests[key] = { context = context, frame = pinfo.number, time = pinfo.rel_ts }
    elseif header.type == RESPONSE then
        local asked = open_requests[key]
        open_requests[key] = nil
        if asked and asked.frame ~= pinfo.number then
            response_of[asked.context] = pinfo.number
            request_of[context] = asked.frame
            time_of[context] = floor((pinfo.rel_ts - asked.time) * 1e9 + 0.5) / 1e9 -- nanoseconds, as in the file
        end
    end
end

local function is_tftp(start, stop_, low, high)
    return stop_ - start >= 2 and byte(bytes, start + 1) == 0 and byte(bytes, start + 2) >= low and
        byte(bytes, start + 2) <= high
end

-- The TFTP server whose transfer a packet belongs to: a request goes to the port that is announced, all that follows
-- runs between the client and a port that nobody announces.
local function transfer_server(source, target, source_node, start, stop_)
    for port, client in pairs({ [source] = target, [target] = source }) do
        if transfers[port] and transfers[port].client == client then return transfers[port].server end
    end
    local server = servers[target]
    if server then
        if server.service == TFTP and is_tftp(start, stop_, 1, 2) then file_clients[source] = target end
        return nil
    end
    local asked = file_clients[target]
    if not asked or servers[source] or asked:match("^%d+") ~= format("%.0f", source_node) or
        not is_tftp(start, stop_, 3, 6) then return nil end
    server = servers[asked]
    if server then
        file_clients[target] = nil
        transfers[source] = { client = target, server = server }
    end
    return server
end

-- Learns from a data packet whose payload lies from `start`, `size` bytes as its header says.
local function learn_data(pinfo, header, start, stop_, context)
    local source, target = place(header.src_node, header.src_port), place(header.dst_node, header.dst_port)
    local transfer = transfer_server(source, target, header.src_node, start, stop_)
    if transfer then
        service_of[context], instance_of[context] = transfer.service, transfer.instance
        return
    end
    local qmi_header = parse_header(start, stop_, false)
    local client, offering = source, target
    -- A port can be client and server at once: the message says on which side the service is.
    if qmi_header and qmi_header.type ~= REQUEST then client, offering = target, source end
    local server = servers[offering] or servers[client]
    if server then service_of[context], instance_of[context] = server.service, server.instance end
    if server and NOT_QMI[server.service] or not qmi_header then return end
    if qmi_header.length ~= header.size - (qmi_header.tlvs - start) then return end
    pair(pinfo, context, qmi_header, format("%s>%s:%d:%d", client, offering, qmi_header.txn, qmi_header.msgid))
end

-- Learns from a control packet at `start`.
local function learn_control(header, start, stop_)
    if stop_ - start < 20 then return end
    local command, service, instance = u32(start), u32(start + 4), u32(start + 8)
    local node, port = u32(start + 12), u32(start + 16)
    if command == BYE or command == DEL_CLIENT or command == RESUME_TX then node, port = service, instance end
    local from_name_server = CONTROL_PORTS[header.src_port]
    if command == NEW_SERVER or command == DEL_SERVER then
        -- A server announcing itself to its own name server is known by the port it sends from.
        local address = from_name_server and place(node, port) or place(header.src_node, header.src_port)
        if command == NEW_SERVER then
            if service ~= 0 then servers[address] = { service = service, instance = instance } end
        elseif servers[address] and servers[address].service == service then
            servers[address] = nil
        end
    elseif command == DEL_CLIENT then
        local address = place(node, port)
        servers[address], file_clients[address], transfers[address] = nil, nil, nil
    elseif command == BYE then
        -- The kernel's own BYE for a lost endpoint names no node: its sender is the lost node.
        local lost = format("%.0f:", from_name_server and header.src_node or node)
        for _, known in ipairs({ servers, file_clients, transfers }) do
            for address in pairs(known) do
                if sub(address, 1, #lost) == lost then known[address] = nil end
            end
        end
    end
end
