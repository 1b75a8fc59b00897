# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of the list's columns."""

from __future__ import annotations

from qmisniff.tui.columns import builtin
from qmisniff.tui.packet_list import Order
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.times import TIME_FORMATS
from tests.tui.conversation import IDS, conversation
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat, said, shown

IMEI = "qmi.dms.get_ids.imei"


async def on_column(seat: Seat, name: str) -> None:
    seat.packets.action_column(-100)
    while seat.packets.column is not None and seat.packets.column.id != name:
        seat.packets.action_column(1)


def ids(seat: Seat) -> list[str]:
    return [column.id for column in seat.packets.columns]


def remembered(seat: Seat) -> list[str]:
    return [name for name, _, is_shown in seat.app.state.columns if is_shown]


@scenario("column.sort")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await on_column(seat, "length")
    await seat.press(key)
    frames = conversation()
    by_length = sorted(range(len(frames)), key=lambda row: frames[row].orig_len)
    await seat.until(lambda: list(seat.packets.rows) == by_length, "sorted")
    assert seat.packets.selected == IDS  # the cursor stays on its packet
    assert "Length▲" in shown(seat.packets)[0] or "Lengt…" in shown(seat.packets)[0]
    await seat.press(key)
    longest = max(frame.orig_len for frame in frames)
    await seat.until(lambda: frames[seat.packets.rows[0]].orig_len == longest, "the other way round")
    assert seat.packets.order == Order("length", True)
    await seat.press(key)
    assert list(seat.packets.rows) == list(range(len(frames))) and seat.packets.order is None
    assert seat.packets.selected == IDS


@scenario("column.left")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "time")
    await seat.press(key)
    assert ids(seat)[:2] == ["time", "number"] == remembered(seat)[:2]
    assert shown(seat.packets)[0].split()[:2] == ["Time", "No."]


@scenario("column.right")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "number")
    await seat.press(key)
    assert ids(seat)[:2] == ["time", "number"] == remembered(seat)[:2]


@scenario("column.wider")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "source")
    before = shown(seat.packets)[0].index("Destination")
    await seat.press(key)
    assert shown(seat.packets)[0].index("Destination") == before + 2


@scenario("column.narrower")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "source")
    before = shown(seat.packets)[0].index("Destination")
    await seat.press(key)
    assert shown(seat.packets)[0].index("Destination") == before - 2


@scenario("column.hide")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "source")
    await seat.press(key)
    assert "Source" not in shown(seat.packets)[0] and "source" not in remembered(seat)
    for _ in range(20):
        await seat.press(key)
    assert len(remembered(seat)) == 1  # the last one stays


@scenario("column.choose")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key, "3")
    assert "Source" not in shown(seat.packets)[0]
    await seat.press(key, "3")
    assert "Source" in shown(seat.packets)[0]


@scenario("column.add")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    seat.details.focus()
    await seat.select_field(IMEI)
    await seat.press(key)
    assert IMEI in ids(seat)
    lines = shown(seat.packets)
    assert "imei" in lines[0] and "00101234567…" in lines[1 + IDS]
    seat.packets.focus()
    await seat.press(key)
    assert isinstance(seat.app.screen, AskScreen)
    await seat.press(*"nothing", "enter")
    assert isinstance(seat.app.screen, AskScreen) and "no field of that name" in said(seat.app)
    await seat.press("ctrl+u", *"qmi.txn".replace(".", " ").split()[0], "full_stop", *"txn", "enter")
    assert isinstance(seat.app.screen, MainScreen) and "qmi.txn" in ids(seat)


@scenario("column.reset")
async def _(seat: Seat, key: str) -> None:
    await on_column(seat, "source")
    await seat.press("delete", key)
    assert ids(seat) == list(builtin()) and seat.app.state.columns == []
    assert "Source" in shown(seat.packets)[0]


@scenario("time.format")
async def _(seat: Seat, key: str) -> None:
    found = []
    for _ in TIME_FORMATS:
        await seat.press(key)
        found.append(shown(seat.packets)[1 + IDS])
    assert len(set(found)) >= len(TIME_FORMATS) - 1  # local time may be UTC
    assert " 0.002500 " in found[0]  # since the packet above
    assert " 2026-01-01 00:00:00.012500 " in found[3]
    assert " 1767225600.012500 " in found[4]
    assert " 0.012500 " in found[5]
