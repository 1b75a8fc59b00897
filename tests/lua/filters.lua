-- SPDX-License-Identifier: GPL-2.0-or-later
-- Which frames pass each of many filters, in one run of tshark: a tap a filter. `filters` is a table of quoted texts
-- before this. Prints, for each, its number and the frames' numbers, or "refused".

local listening = false
local probe = Proto("qmisniff_filters", "Filters under test")

-- Fields are known when the first file is opened, not yet when scripts are loaded.
function probe.init()
    if listening then return end
    listening = true
    for number, filter in ipairs(filters) do
        local found = {}
        local done, tap = pcall(Listener.new, "frame", filter)
        if done then
            function tap.packet(pinfo) found[#found + 1] = pinfo.number end
            function tap.draw() print(number .. ":" .. table.concat(found, ",")) end
        else
            print(number .. ":refused")
        end
    end
end
