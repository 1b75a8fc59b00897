# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from textual.widgets import Static

from qmisniff.tui.commands import is_key
from tests.tui.scripted import Seat, seated


async def help_text(seat: Seat) -> str:
    await seat.press("question_mark")
    found = str(seat.app.screen.query_one(Static).render())
    await seat.press("escape")
    return found


async def test_help_is_about_the_focused_pane() -> None:
    async with seated() as seat:
        text = await help_text(seat)
        assert "Packet list" in text
        assert "Keep the newest packet selected" in text
        assert "Open or close the field" not in text
        await seat.press("tab")
        text = await help_text(seat)
        assert "Details" in text
        assert "Open or close the field" in text
        assert "Keep the newest" not in text


async def test_every_key_that_works_now_is_in_the_help() -> None:
    async with seated() as seat:
        for pane in (seat.packets, seat.details, seat.bytes):
            pane.focus()
            await seat.pilot.pause()
            active = seat.main.active_bindings.values()
            text = await help_text(seat)
            for each in active:
                if not is_key(each.binding.key):
                    continue
                assert seat.app.get_key_display(each.binding) in text
                assert (each.binding.tooltip or each.binding.description) in text
