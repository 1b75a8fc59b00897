# SPDX-License-Identifier: GPL-2.0-or-later
"""A view in front of somebody at the screen."""

from __future__ import annotations

from typing import TypeVar

from qmisniff.tui.views.table_screen import TablesScreen
from qmisniff.tui.views.view_screen import ViewScreen
from tests.tui.scripted import Seat

Kind = TypeVar("Kind", bound=ViewScreen)  # type: ignore[type-arg]


async def opened(seat: Seat, key: str, kind: type[Kind]) -> Kind:
    """Open a view from the packets by its key, and wait for its answer."""
    await seat.press(key)
    screen = seat.app.screen
    assert isinstance(screen, kind)
    await answered(seat, screen)
    return screen


async def answered(seat: Seat, screen: ViewScreen) -> None:  # type: ignore[type-arg]
    """Wait until nothing is being worked out, and the table, where there is one, is there."""
    await seat.until(lambda: not screen.working, "the answer has come")
    if isinstance(screen, TablesScreen):
        await seat.until(lambda: screen.pane.table is not None, "the table is there")


def cells(screen: TablesScreen, name: str) -> list[str]:  # type: ignore[type-arg]
    """A column of the table as it is sorted."""
    table = screen.pane.table
    assert table is not None
    return [table.column(name).text(row) for row in screen.pane.order.tolist()]
