# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from qmisniff.tui.commands import is_key
from qmisniff.tui.footer import KeyLine
from tests.tui.scripted import Seat, seated


async def help_text(seat: Seat) -> str:
    await seat.press("question_mark")
    found = str(seat.app.screen.query_one(Static).render())
    await seat.press("escape")
    return " ".join(found.split())


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
                assert seat.app.get_key_display(each.binding) in text.split()
                assert (each.binding.tooltip or each.binding.description) in text


@pytest.mark.parametrize("width", [200, 120, 80, 60])
async def test_no_key_at_the_bottom_is_cut_off_and_help_is_always_there(width: int) -> None:
    async with seated(size=(width, 24)) as seat:
        bottom = seat.main.query_one(KeyLine)

        def keys() -> list[FooterKey]:
            return list(bottom.query(FooterKey))

        for columns in (width, 60, 100):
            await seat.pilot.resize_terminal(columns, 24)
            await seat.until(lambda: keys() and keys()[-1].region.right <= bottom.region.right, "all is seen")
            titles = [key.description for key in keys()]
            assert {"Filter", "Quit", "Help", "Palette"} <= set(titles)
            assert all(key.size.width == len(key.key_display) + len(key.description) + 3 for key in keys())


@pytest.mark.parametrize("width", [120, 80, 60])
async def test_no_description_is_under_the_keys(width: int) -> None:
    async with seated(size=(width, 24)) as seat:
        await seat.press("question_mark")
        lines = str(seat.app.screen.query_one(Static).render()).split("\n")
        assert all(len(line) <= width - 6 for line in lines)
        assert all(line[26] == " " for line in lines if len(line) > 27)
