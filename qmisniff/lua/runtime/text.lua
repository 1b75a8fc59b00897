---------------------------------------------------------------- text

local valid_utf8, to_nul, no_nul, plmn, text_readers, encoding_of -- what the other parts use of this one
do
local function utf8_of(code)
    if code < 0x80 then return string.char(code) end
    if code < 0x800 then return string.char(0xC0 + floor(code / 64), 0x80 + code % 64) end
    if code < 0x10000 then
        return string.char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
    end
    return string.char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64,
        0x80 + code % 64)
end

-- What follows a first byte of UTF-8: how many bytes more, and what the second may be.
local function utf8_shape(first)
    if first >= 0xC2 and first <= 0xDF then return 1, 0x80, 0xBF end
    if first >= 0xE0 and first <= 0xEF then
        return 2, first == 0xE0 and 0xA0 or 0x80, first == 0xED and 0x9F or 0xBF
    end
    if first >= 0xF0 and first <= 0xF4 then
        return 3, first == 0xF0 and 0x90 or 0x80, first == 0xF4 and 0x8F or 0xBF
    end
end

-- UTF-8 as it is; bytes that are none become \xNN.
function valid_utf8(raw)
    if not raw:find("[\128-\255]") then return raw end
    local parts, at, size = {}, 1, #raw
    while at <= size do
        local first = byte(raw, at)
        local stop = at
        if first >= 0x80 then
            local more, low, high = utf8_shape(first)
            local good = more and at + more <= size
            if good then
                local second = byte(raw, at + 1)
                good = second >= low and second <= high
                for place = at + 2, at + (more or 0) do
                    local each = byte(raw, place)
                    good = good and each >= 0x80 and each <= 0xBF
                end
            end
            if good then
                parts[#parts + 1] = sub(raw, at, at + more)
                stop = at + more
            else
                parts[#parts + 1] = format("\\x%02x", first)
            end
        else
            stop = (raw:find("[\128-\255]", at) or size + 1) - 1
            parts[#parts + 1] = sub(raw, at, stop)
        end
        at = stop + 1
    end
    return concat(parts)
end

-- Up to the first zero byte.
function to_nul(raw)
    local zero = raw:find("\0", 1, true)
    return zero and sub(raw, 1, zero - 1) or raw
end

-- Wireshark's strings end at a zero byte; one in the middle is shown as an escape.
function no_nul(text)
    if not text:find("\0", 1, true) then return text end
    local parts, at = {}, 1
    while true do
        local zero = text:find("\0", at, true)
        parts[#parts + 1] = sub(text, at, (zero or 0) - 1)
        if not zero then return concat(parts, "\\x00") end
        at = zero + 1
    end
end

local function plain_text(raw)
    raw = to_nul(raw)
    local last = #raw
    while last > 0 and byte(raw, last) == 255 do last = last - 1 end
    return valid_utf8(sub(raw, 1, last))
end

local function latin(raw) return (to_nul(raw):gsub("[\128-\255]", function(each) return utf8_of(byte(each)) end)) end

local REPLACEMENT = "\239\191\189" -- U+FFFD

local function wide_text(raw, first, second)
    local parts, size, at = {}, #raw, 1
    while at + 1 <= size do
        local code = byte(raw, at + first) + byte(raw, at + second) * 256
        at = at + 2
        if code >= 0xD800 and code <= 0xDBFF and at + 1 <= size then
            local low = byte(raw, at + first) + byte(raw, at + second) * 256
            if low >= 0xDC00 and low <= 0xDFFF then
                parts[#parts + 1] = utf8_of(0x10000 + (code - 0xD800) * 1024 + low - 0xDC00)
                at = at + 2
            else
                parts[#parts + 1] = REPLACEMENT
            end
        elseif code >= 0xD800 and code <= 0xDFFF then
            parts[#parts + 1] = REPLACEMENT
        else
            parts[#parts + 1] = utf8_of(code)
        end
    end
    if at <= size then parts[#parts + 1] = REPLACEMENT end
    local last = #parts
    while last > 0 and parts[last] == "\0" do last = last - 1 end
    return no_nul(concat(parts, "", 1, last))
end

local function utf16_le(raw) return wide_text(raw, 0, 1) end
local function utf16_be(raw) return wide_text(raw, 1, 0) end

-- 3GPP TS 23.038: the default alphabet by code, and what an escape (27) makes of some of them.
local GSM = {}
do
    local at = 0
    for letter in definitions.gsm7:gmatch("[\0-\127\194-\244][\128-\191]*") do
        GSM[at] = letter
        at = at + 1
    end
end
local GSM_EXTENSION = definitions.gsm7_extension

local function gsm(codes)
    local parts, at, size = {}, 1, #codes
    while at <= size do
        local code = codes[at]
        if code == 27 then
            at = at + 1
            local escaped = codes[at]
            parts[#parts + 1] = escaped and (GSM_EXTENSION[escaped] or GSM[escaped]) or ""
        else
            parts[#parts + 1] = GSM[code]
        end
        at = at + 1
    end
    return concat(parts)
end

local function gsm7(raw)
    local codes, rest, bits = {}, 0, 0
    for at = 1, #raw do
        rest = rest + byte(raw, at) * 2 ^ bits
        bits = bits + 8
        while bits >= 7 do
            codes[#codes + 1] = rest % 128
            rest = floor(rest / 128)
            bits = bits - 7
        end
    end
    return gsm(codes)
end

local function gsm8(raw)
    local codes = {}
    for at = 1, #raw do codes[at] = byte(raw, at) % 128 end
    return gsm(codes)
end

local DIGITS = { [0] = "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "a", "b", "c", "" }
local BCD = {}
for value = 0, 255 do BCD[string.char(value)] = DIGITS[value % 16] .. DIGITS[floor(value / 16)] end

local function bcd(raw) return (raw:gsub(".", BCD)) end

local function hex_digits(raw)
    return (raw:gsub(".", function(each) return format("%02x", byte(each)) end))
end

local PLMN = { [0] = "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "" }

function plmn(raw)
    local a, b, c = byte(raw, 1, 3)
    return PLMN[a % 16] .. PLMN[floor(a / 16)] .. PLMN[b % 16] .. PLMN[c % 16] .. PLMN[floor(c / 16)] ..
        PLMN[floor(b / 16)]
end

text_readers = { string = plain_text, utf16 = utf16_le, gsm7 = gsm7, bcd = bcd }

-- How the label of an encoding begins -> what reads it; the longest that fits counts.
local encodings = {
    ascii = plain_text, utf8 = plain_text, latin = latin, gsm7 = gsm7, gsm8 = gsm8, ucs2 = utf16_be,
    utf16 = utf16_be, ucs2le = utf16_le, utf16le = utf16_le,
}

function encoding_of(label)
    local bare, best = (label or ""):gsub("_", ""), ""
    for word in pairs(encodings) do
        if sub(bare, 1, #word) == word and #word > #best then best = word end
    end
    return encodings[best] or hex_digits
end
end
