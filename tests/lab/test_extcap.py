# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark captures QRTR live through the extcap program as installed, and decodes it with the exported dissector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qmisniff.capture_file import Reader
from qmisniff.frame import Hook
from tests.differential.corpus import registry
from tests.lab.guest import run_in_guest
from tests.lab.guest_extcap import IMEI
from tests.lua.tshark import export, run

pytestmark = pytest.mark.lab

PROGRAM = Path(__file__).with_name("guest_extcap.py")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guest left behind."""
    return run_in_guest(PROGRAM, tmp_path_factory.mktemp("extcap"), timeout=3600.0).check().out


@pytest.fixture(scope="module")
def told(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "extcap.json").read_text())
    return told


def test_tshark_lists_the_sources(told: dict[str, Any]) -> None:
    assert "qmisniff-kernel (qmisniff: kernel)" in told["listed"]


def test_it_captures_what_crosses_the_wire(out: Path) -> None:
    with (out / "tshark.pcapng").open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    seen = [
        ("receive" if frame.hook is Hook.RECEIVE else "transmit", frame.data.hex())
        for frame in frames
        if frame.hook in (Hook.RECEIVE, Hook.TRANSMIT)
    ]
    sent = [tuple(each) for each in json.loads((out / "wire.json").read_text())]
    assert not reader.damage and len(sent) >= 3
    assert sorted(seen) == sorted(sent)


def test_it_ends_as_asked_and_leaves_nothing(told: dict[str, Any]) -> None:
    assert told["during"] and not told["left"]
    assert told["exit"] == 0 and "Error" not in told["said"], told["said"]


def test_the_file_is_decoded_without_any_preference(out: Path, tmp_path: Path) -> None:
    script = export(registry(), tmp_path / "qmisniff.lua")
    fields = ["-T", "fields", "-e", "qmi.dms.get_ids.imei", "-e", "qmi.response_to"]
    (line,) = run(script, out / "tshark.pcapng", "-Y", "qmi.dms.get_ids.imei", *fields).splitlines()
    imei, request = line.split("\t")
    assert imei == IMEI.decode() and int(request) > 0
