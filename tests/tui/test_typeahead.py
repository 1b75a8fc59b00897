# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that come in one piece, as over a slow line, do what they do one by one."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from qmisniff.tui.screens.find import FindScreen
from qmisniff.tui.screens.main import MainScreen
from tests.tui.conversation import IDS
from tests.tui.scripted import Seat, seated


def at_once(seat: Seat, *keys: str) -> None:
    """Give keys without waiting for what any of them does."""
    for key in keys:
        seat.app.post_message(events.Key(key, key if len(key) == 1 else None))


async def test_what_is_typed_behind_the_slash_is_the_filter() -> None:
    async with seated() as seat:
        at_once(seat, "slash", *"qmi.dms.get_ids.imei", "enter", "down", "m")
        await seat.until(lambda: seat.session.notes.marked, "the packet is marked")
        assert seat.main.bar.text == "qmi.dms.get_ids.imei"
        assert seat.session.notes.marked == {IDS}
        assert seat.app.return_code is None


async def test_keys_reach_a_screen_that_a_key_opens_and_the_one_below_when_it_closes() -> None:
    async with seated() as seat:
        at_once(seat, "ctrl+f", *"Sig", "escape", "end", "question_mark", "escape", "ctrl+f", *"IDs")
        await seat.until(lambda: isinstance(seat.app.screen, FindScreen), "the second question")
        await seat.until(lambda: seat.app.screen.query_one(Input).value == "IDs", "what was typed is there")
        at_once(seat, "escape", "home", "m")
        await seat.until(lambda: seat.session.notes.marked == {0}, "the first packet is marked")
        assert isinstance(seat.app.screen, MainScreen)


async def test_what_is_pasted_waits_for_its_turn() -> None:
    async with seated() as seat:
        at_once(seat, "slash")
        seat.app.post_message(events.Paste("qmi.msgid"))
        at_once(seat, *" == 37", "enter")
        await seat.until(lambda: len(seat.packets.rows) == 2, "the filter is applied")
        assert seat.main.bar.text == "qmi.msgid == 37"
