# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed program in a real terminal, in front of live kernel traffic (guest_screen.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qmisniff.capture_file import Reader
from tests.lab.conftest import result
from tests.lab.guest_screen import SAVED
from tests.lab.services import IMEI

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def sat(experiments: dict[str, Any]) -> dict[str, Any]:
    """What was on the screen at each step."""
    return result(experiments, "screen")


def test_the_list_fills_as_a_real_client_talks(sat: dict[str, Any]) -> None:
    rows, _ = sat["seen"]["client"].split("─ Details")
    assert "NEW_SERVER DMS" in sat["seen"]["services"]
    assert "qmicli[" in rows and "Request: Get IDs" in rows and "Response: Get IDs" in rows
    assert " 0 lost " in rows


def test_a_filter_and_the_tree_show_what_the_client_printed(sat: dict[str, Any]) -> None:
    rows, rest = sat["seen"]["filtered"].split("─ Details")
    tree, _ = rest.split("─ Bytes")
    assert rows.count("Get IDs") == 1 and "Response: Get IDs" in rows
    assert f"IMEI: '{IMEI}'" in sat["printed"]
    assert f"imei: {IMEI}" in tree


def test_leaving_asks_and_what_is_saved_is_all_there_was(sat: dict[str, Any], experiments_out: Path) -> None:
    assert "exit code 0" in sat["seen"]["left"]
    with (experiments_out / SAVED).open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    assert not reader.damage
    assert len(frames) == sat["unsaved"] > 10
    assert sum(IMEI.encode() in frame.data for frame in frames) == 1
    assert not list(experiments_out.glob("qmisniff-*.pcapng"))  # nothing temporary is left
