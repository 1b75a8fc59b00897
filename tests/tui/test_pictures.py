# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of the main screen: what it looks like is only changed on purpose (`pytest --snapshot-update`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.session import Session
from tests.tui.conversation import IDS, conversation
from tests.tui.scripted import Script, dissector

Compare = Callable[..., bool]
WIDE, NARROW, TINY = (120, 36), (80, 24), (20, 5)
SHOTS: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {  # name -> size, keys
    "main": (WIDE, ()),
    "details": (WIDE, ("tab", "down", "down")),
    "narrow": (NARROW, ()),
    "tiny": (TINY, ()),
    "beside": (WIDE, ("vertical_line",)),
    "candidates": (WIDE, ("slash", *"qmi", "full_stop", "d")),
    "wrong-filter": (WIDE, ("slash", *"qmi", "space", *"or", "space", *"nothing", "escape", "escape", "slash")),
    "apply-as": (WIDE, ("a",)),
    "find": (NARROW, ("ctrl+f",)),
    "notes": (WIDE, ("m", "ctrl+t", "c", *"odd", "enter")),
}


@pytest.mark.parametrize(("name", "theme"), [*((name, "textual-dark") for name in SHOTS), ("details", "textual-light")])
def test_picture(name: str, theme: str, snap_compare: Compare) -> None:
    session = Session(Script(conversation(), live=False), dissector())
    size, keys = SHOTS[name]

    async def look(pilot: Pilot[Any]) -> None:
        main = pilot.app.screen
        assert isinstance(main, MainScreen)
        pilot.app.theme = theme
        while main.standing().progress.running or len(main.packets.rows) < len(conversation()):
            await pilot.pause(0.05)
        main.packets.move_to_row(IDS)
        main.pull(always=True)
        await pilot.press(*keys)
        while main.bar._checking:
            await pilot.pause(0.05)
        for line in pilot.app.screen.query(Input):
            line.cursor_blink = False
        main.pull(always=True)  # the line above the panes is written ten times a second
        await pilot.pause()

    try:
        assert snap_compare(QmisniffApp(session, session.dissector.registry), terminal_size=size, run_before=look)
    finally:
        session.close()
