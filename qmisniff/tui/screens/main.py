# SPDX-License-Identifier: GPL-2.0-or-later
"""The main screen: filter bar, packet list, details and bytes of the selected packet, linked both ways."""

from __future__ import annotations

from qmisniff.tui import commands
from qmisniff.tui.screens.copying import Copying
from qmisniff.tui.screens.listing import Listing
from qmisniff.tui.screens.noting import Noting
from qmisniff.tui.screens.viewing import Viewing


class MainScreen(Copying, Listing, Noting, Viewing):
    """Everything that can be done at the desk."""

    OFFERS = commands.PANES
    BINDINGS = commands.bindings(OFFERS)

    def action_pane(self, step: int) -> None:
        """Go to the next pane, to the one before where negative."""
        panes = (self.packets, self.details, self.bytes)
        panes[(self.panes.focused + step) % len(panes)].focus()

    def action_zoom(self) -> None:
        """Give the focused pane all the space, or take it back."""
        self.panes.zoomed = not self.panes.zoomed

    def action_arrange(self) -> None:
        """Take the next arrangement of the panes."""
        self.panes.zoomed = False
        self.panes.cycle()

    def action_grow(self, cells: int) -> None:
        """Make the focused pane larger, or smaller where negative."""
        self.panes.grow(cells)
