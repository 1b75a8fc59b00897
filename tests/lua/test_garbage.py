# SPDX-License-Identifier: GPL-2.0-or-later
"""How often the dissector clears away garbage: each time Lua looks through all that stays, in a long capture much."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.corpus import registry
from tests.lua.test_agreement import every_message
from tests.lua.tshark import available, export, run, save

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")

# In front of the dissector: megabytes that stay, and a count of the times.
COUNTER = """
stays = string.rep("x", %d * 1000000)
local times, collect = 0, collectgarbage
function collectgarbage(what, ...)
    if what == "collect" then times = times + 1 end
    return collect(what, ...)
end
local tap = Listener.new("frame")
function tap.draw() print("times: " .. times) end
"""


def times(megabytes: int, script: Path, capture: Path, folder: Path) -> int:
    both = folder / "both.lua"
    both.write_text(COUNTER % megabytes + script.read_text())
    return int(run(both, capture, "-V").rpartition("times: ")[2])


def test_the_more_stays_the_seldomer_it_is_looked_through(tmp_path: Path) -> None:
    script = export(registry(), tmp_path / "qmisniff.lua")
    capture = save(every_message(), tmp_path / "all.pcapng")
    assert 3 * times(100, script, capture, tmp_path) < times(1, script, capture, tmp_path)
