# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of copying, of pictures and of colours."""

from __future__ import annotations

import json
from pathlib import Path

from qmisniff.paths import config_dir
from qmisniff.tui.coloring import parse, shipped
from tests.tui.conversation import IDS
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat


async def copied(seat: Seat, key: str, letter: str) -> str:
    await seat.press(key, letter)
    return seat.app.clipboard


@scenario("copy.as")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    data = seat.bytes.data
    assert "Response: Get IDs" in await copied(seat, key, "1")
    assert await copied(seat, key, "2") == seat.packets.packet(IDS).summary.info
    assert await copied(seat, key, "3") == "qmi.service == 2 && qmi.msgid == 0x25 && qmi.type == 1"
    assert await copied(seat, key, "4") == data.hex()
    assert (await copied(seat, key, "5")).startswith("0000  ")
    assert (await copied(seat, key, "6")).count("0x") == len(data)
    assert json.loads(await copied(seat, key, "7"))[-1]["name"] == "qmi"
    seat.details.focus()
    await seat.select_field("qmi.dms.get_ids.imei")
    assert await copied(seat, key, "1") == "imei: 001012345678901"
    assert await copied(seat, key, "2") == "001012345678901"
    assert await copied(seat, key, "3") == 'qmi.dms.get_ids.imei == "001012345678901"'
    assert await copied(seat, key, "4") == b"001012345678901".hex()
    assert json.loads(await copied(seat, key, "7"))[0]["value"] == "001012345678901"


@scenario("screen.picture")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    (picture,) = Path().glob("*.svg")
    assert "Get" in picture.read_text() and "</svg>" in picture.read_text()


@scenario("color.toggle")
async def _(seat: Seat, key: str) -> None:
    assert seat.packets.coloring is not None
    await seat.press(key)
    assert seat.packets.coloring is None
    await seat.press(key)
    assert seat.packets.coloring is not None


@scenario("color.write")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert parse((config_dir() / "colorfilters").read_text()) == (shipped(True), [])
    (config_dir() / "colorfilters").write_text("mine")
    await seat.press(key)
    assert (config_dir() / "colorfilters").read_text() == "mine"
