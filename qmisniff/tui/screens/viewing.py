# SPDX-License-Identifier: GPL-2.0-or-later
"""The views beside the packet list, opened from it."""

from __future__ import annotations

from qmisniff.tui.commands import bindings
from qmisniff.tui.conditions import joined
from qmisniff.tui.screens.moving import Moving
from qmisniff.tui.view_context import Combine, ViewContext
from qmisniff.tui.views import commands, open_view


class Viewing(Moving):
    """A command for each view there is."""

    OFFERS = commands.OPEN
    BINDINGS = bindings(OFFERS)

    def action_view(self, name: str) -> None:
        """Open a view."""
        self.app.push_screen(open_view(name, self.view_context()))

    def view_context(self) -> ViewContext:
        """What a view is given of this screen."""
        sieve = self.session.sieve
        return ViewContext(
            session=self.session,
            shown=lambda: sieve.rows,
            filter=lambda: sieve.filter.text if sieve.filter is not None else "",
            selected=lambda: self.packets.selected,
            field=lambda: self.details.field,
            open_row=self._open_row,
            apply_filter=self._apply_filter,
        )

    def _come_back(self) -> None:
        while self.app.screen is not self:
            self.app.pop_screen()

    def _open_row(self, row: int) -> None:
        self._come_back()
        self.go_to(row)

    def _apply_filter(self, condition: str, combine: Combine) -> None:
        self._come_back()
        self.bar.put(joined(self.bar.text, condition, combine), apply=True)
