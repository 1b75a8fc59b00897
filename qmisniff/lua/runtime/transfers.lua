---------------------------------------------------------------- messages out of USB control transfers
-- A QMUX frame may go through several transfers, and one transfer may hold several frames; MBIM messages come in
-- fragments. A message that came in parts is shown in the packet that brought the last of them. Once data begin a
-- message of their own, what was unfinished before stays so: a part of it has been lost.

local transfers, responses -- by packet, by device
local forget_transfers, note, learn_transfer, show_transfer
do
local MAX_MESSAGE = 131072 -- bytes: a QMUX frame has at most half of it
local unfinished -- by device and direction

function forget_transfers()
    transfers = {} -- what other packets say about the data in one
    unfinished = {} -- the message of which parts have come
    responses = {} -- how often GET_ENCAPSULATED_RESPONSE is under way
end

function note(number)
    transfers[number] = transfers[number] or {}
    return transfers[number]
end

local function add_part(number, before, at)
    before.numbers[#before.numbers + 1] = number
    before.pieces[#before.pieces + 1] = sub(bytes, at + 1)
    before.size = before.size + #bytes - at
    note(number).unfinished = at
end

local function finish(number, before)
    local transfer = note(number)
    transfer.earlier, transfer.parts = concat(before.pieces), before.numbers
    for _, part in ipairs(before.numbers) do transfers[part].whole_in = number end
end

local function learn_frames(number, pipe, at, missing)
    while begins(at, #bytes) do
        local stop_ = frame_end(at)
        if stop_ > #bytes then
            if missing == 0 then
                unfinished[pipe] = { numbers = {}, pieces = {}, size = 0, wanted = stop_ - at }
                add_part(number, unfinished[pipe], at)
            end
            return
        end
        at = stop_
    end
end

local function learn_fragment(number, pipe, head, before)
    if head.fragments == 1 then return end
    if head.fragment == 0 then
        before = { numbers = {}, pieces = {}, size = 0 }
    elseif not before or not before.head or before.size + #bytes - MBIM_BODY > MAX_MESSAGE or
        before.head.kind ~= head.kind or before.head.txn ~= head.txn or before.head.fragments ~= head.fragments or
        before.head.fragment + 1 ~= head.fragment then
        return
    end
    if head.fragment + 1 < head.fragments then
        add_part(number, before, MBIM_BODY)
        before.head = head
        unfinished[pipe] = before
    else
        finish(number, before)
    end
end

-- Learns from the data of a transfer when they are first seen.
function learn_transfer(number, pipe, missing)
    local before = unfinished[pipe]
    unfinished[pipe] = nil
    local head = mbim_head(missing)
    if head then
        learn_fragment(number, pipe, head, before)
    elseif begins(0, #bytes) then
        learn_frames(number, pipe, 0, missing)
    elseif before and before.wanted and missing == 0 then
        local lacking = before.wanted - before.size
        if #bytes < lacking then
            add_part(number, before, 0)
            unfinished[pipe] = before
        else
            finish(number, before)
            learn_frames(number, pipe, lacking, missing)
        end
    end
end

-- The data of a transfer; returns what the columns say of those without a whole message, nil where they are neither
-- QMUX nor MBIM.
function show_transfer(transfer, missing, pinfo, tree)
    if mbim_head(missing) then return "MBIM", show_mbim(transfer, pinfo, tree) end
    if not transfer.earlier and not transfer.unfinished and not begins(0, #bytes) then return nil end
    local at, info = 0, nil
    if transfer.earlier then
        local wanted = 1 + byte(transfer.earlier, 2) + byte(transfer.earlier, 3) * 256
        at = wanted - #transfer.earlier
        in_whole("qmux", transfer.earlier .. sub(bytes, 1, at), transfer, tree, function()
            show_frame(0, #bytes, pinfo, tree)
        end)
    end
    local stop_ = transfer.unfinished or #bytes
    while at < stop_ and begins(at, #bytes) do at = show_frame(at, math.min(frame_end(at), stop_), pinfo, tree) end
    show_rest(at, stop_, pinfo, tree)
    if transfer.unfinished then info = show_part("qmux", stop_, transfer, pinfo, tree) end
    return "QMUX", info
end
end
