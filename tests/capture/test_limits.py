# SPDX-License-Identifier: GPL-2.0-or-later
"""-a and -b: what is understood, and what is refused."""

from __future__ import annotations

import pytest

from qmisniff.capture.limits import Limits, stop_limits, switch_limits
from qmisniff.errors import UsageError


def test_every_condition_is_a_limit() -> None:
    assert stop_limits(["duration:1.5", "filesize:100", "files:3", "packets:7"]) == Limits(7, 100, 1.5, None, 3)
    assert switch_limits(["interval:3600", "files:3"]) == Limits(interval=3600, files=3)
    assert switch_limits([]) == Limits()
    assert stop_limits(["packets:7", "packets: 8"]) == Limits(packets=8), "the last counts, as in dumpcap"


@pytest.mark.parametrize(
    "condition",
    [
        "", "duration", "duration:", "duration:0", "duration:-1", "duration:nan", "duration:inf", "duration:x",
        "packets:0", "packets:1.5", "packets:-1", "packets:" + "9" * 5000, "packets:²", "filesize:2097152",
        "files:100000", "interval:1", "bytes:3", "packets=3",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(condition: str) -> None:
    with pytest.raises(UsageError, match="-a"):
        stop_limits([condition])


def test_a_ring_needs_to_know_when_to_turn() -> None:
    with pytest.raises(UsageError, match="when to go to the next file"):
        switch_limits(["files:3"])
