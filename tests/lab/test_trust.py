# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture in trouble, on a real kernel: no loss is silent, nothing stays behind, what was captured is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import flooding
from tests.lab.guest import run_in_guest

pytestmark = pytest.mark.lab

EXPERIMENTS = Path(__file__).with_name("guest_trust.py")


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What guest_trust.py saw, by experiment."""
    out = tmp_path_factory.mktemp("trust")
    flooding.build(out)
    run_in_guest(EXPERIMENTS, out, timeout=3600.0).check()
    results: dict[str, Any] = json.loads((out / "capture.json").read_text())
    return results


def result(experiments: dict[str, Any], name: str) -> dict[str, Any]:
    """An experiment's result; none may leave anything in the kernel, or a traceback."""
    found: dict[str, Any] = experiments[name]
    assert "failed" not in found, found["failed"]
    assert found["leaves"] == []
    assert "Traceback" not in found.get("said", "")
    return found


@pytest.mark.parametrize("name", ["overrun", "overrun_long", "overrun_filtered"])
def test_what_is_sent_is_captured_or_reported_as_lost(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, name)
    assert found["exit"] == 0
    assert found["lost"] > 50, "not a flood"
    assert found["captured"] > 0
    assert found["sent"] == found["captured"] + found["lost"]
    assert found["distinct"] == found["captured"]
    assert (found["broken"], found["damage"]) == (0, "")
    assert found["told"] <= found["lost"]
    assert f" {found['lost']} lost, " in found["said"]
    assert f"lost: {found['lost']} overwritten in the kernel's buffer" in found["said"]
    comment = dict(line.split(": ") for line in found["comment"].splitlines())
    assert comment.pop("lost, overwritten in the kernel's buffer before they were read") == str(found["lost"])
    events = [int(number) for what, number in comment.items() if what.startswith("trace events overwritten, CPU ")]
    assert events and min(events) > 0


def test_a_snap_length_makes_long_packets_cheap(experiments: dict[str, Any]) -> None:
    found = result(experiments, "snapped")
    assert found["sent"] == found["captured"] == found["shortened"]
    assert " 0 lost, 0 truncated" in found["said"]


def test_filters_choose_by_every_kind_of_header_and_leave_out_without_loss(experiments: dict[str, Any]) -> None:
    found = result(experiments, "thinned")
    wanted = {
        "node 0 and type data": [["transmit", 52], ["transmit", 3032], ["receive", 52], ["receive", 28]],
        "src port 0x77 or len > 4000": [["local", 5032], ["receive", 28]],
    }
    for chosen, packets in wanted.items():
        seen = found[chosen]
        assert [[hook, length] for hook, length, _ in seen["seen"]] == packets, chosen
        assert all(length == got for _, length, got in seen["seen"])
        assert " 0 lost, 0 truncated" in seen["said"]


def test_a_sender_that_is_killed(experiments: dict[str, Any]) -> None:
    found = result(experiments, "killed_sender")
    assert (found["exit"], found["remains"], found["damage"], found["broken"]) == (0, [], "", 0)
    assert found["captured"] == found["distinct"] == found["last"] + 1 > 5
    assert " 0 lost, 0 truncated" in found["said"]


def test_a_disk_that_fills_up_keeps_all_before(experiments: dict[str, Any]) -> None:
    found = result(experiments, "full_disk")
    assert (found["exit"], found["remains"]) == (2, [])
    assert "No space left on device" in found["said"]
    assert "what was written until then can be read" in found["said"]
    # Up to the last page that there was room for, without a gap.
    assert found["size"] >= 500_000
    assert found["captured"] == found["distinct"] == found["last"] + 1 > 400
    assert found["broken"] == 0


@pytest.mark.parametrize("name", ["tracefs_unmounted", "tracefs_covered"])
def test_tracefs_that_goes_away_is_said_and_the_next_capture_cleans_up(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, name)
    assert (found["exit"], found["seen"], found["damage"], found["left"]) == (4, 1, "", [])
    assert "qmisniff: the probes may still be in the kernel" in found["said"]
    assert "the next capture there removes them" in found["said"]
    assert (found["next"]["exit"], found["next"]["remains"]) == (0, [])


def test_modules_that_are_unloaded_and_loaded_again(experiments: dict[str, Any]) -> None:
    found = result(experiments, "module_unloaded")
    assert (found["exit"], found["remains"], found["damage"], found["ordered"]) == (0, [], "", True)
    assert found["seen"] == {marker: [40, 740, 1440] for marker in ("first", "second", "third")}
    assert " 0 lost, 0 truncated" in found["said"]


def test_a_clock_that_is_set_does_not_disturb(experiments: dict[str, Any]) -> None:
    found = result(experiments, "clock_step")
    assert (found["exit"], found["remains"], found["damage"], found["ordered"]) == (0, [], "", True)
    assert len(found["seconds"]) == 3
    assert found["seconds"][2] < 600


@pytest.mark.parametrize("name", ["during", "before"])
def test_a_processor_that_is_switched_off_and_on(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, "cpu_offline")[name]
    assert (found["exit"], found["remains"], found["damage"], found["ordered"]) == (0, [], "", True)
    assert found["seen"] == [300] * len(found["seen"])
    assert found["lost"] == 0
    assert len(found["cpus"]) == 2
