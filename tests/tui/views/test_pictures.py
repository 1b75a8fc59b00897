# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of views: what they look like is only changed on purpose (`pytest --snapshot-update`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.session import Session
from qmisniff.tui.views.statistics import StatisticsScreen
from qmisniff.tui.views.view_screen import ViewScreen
from tests.tui.conversation import IDS, conversation
from tests.tui.scripted import Script, dissector

Compare = Callable[..., bool]
KEYS = {"services": "1", "transactions": "2", "conversations": "3", "statistics": "4", "follow": "6", "problems": "7"}


@pytest.mark.parametrize("name", KEYS)
def test_view(name: str, snap_compare: Compare) -> None:
    session = Session(Script(conversation(), live=False), dissector())

    async def look(pilot: Pilot[Any]) -> None:
        main = pilot.app.screen
        assert isinstance(main, MainScreen)
        while len(main.packets.rows) < len(conversation()):
            await pilot.pause(0.05)
        main.packets.move_to_row(IDS)
        await pilot.press(KEYS[name])
        screen = pilot.app.screen
        assert isinstance(screen, ViewScreen)
        while screen.working or (isinstance(screen, StatisticsScreen) and len(screen.plot.curves) < 2):
            await pilot.pause(0.05)
        await pilot.pause(0.3)  # what follows the cursor after a while

    try:
        assert snap_compare(QmisniffApp(session, session.dissector.registry), terminal_size=(110, 26), run_before=look)
    finally:
        session.close()
