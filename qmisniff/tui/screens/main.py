# SPDX-License-Identifier: GPL-2.0-or-later
"""The main screen: filter bar, packet list, details and bytes of the selected packet, linked both ways."""

from __future__ import annotations

from textual import events

from qmisniff.tui import commands
from qmisniff.tui.commands import offered
from qmisniff.tui.panes import Arrangement, Shares
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.copying import Copying
from qmisniff.tui.screens.listing import Listing
from qmisniff.tui.screens.noting import Noting
from qmisniff.tui.screens.viewing import Viewing

_RIGHT = 3  # button of the mouse
_MENU = (
    "filter.apply_as", "filter.prepare_as", "packet.partner", "view.follow", "copy.as", "column.add", "mark.toggle",
    "comment.edit", "packet.ignore", "time.reference",
)  # fmt: skip


class MainScreen(Copying, Listing, Noting, Viewing):
    """Everything that can be done at the desk."""

    OFFERS = commands.PANES
    BINDINGS = commands.bindings(OFFERS)

    def on_click(self, event: events.Click) -> None:
        if event.button == _RIGHT and event.widget in (self.packets, self.details, self.bytes):
            self.action_menu()

    def action_menu(self) -> None:
        """Choose what to do with what is under the cursor."""
        there = {command.id: (command, node) for command, node in offered(self.app.screen)}
        choices = [there[each] for each in _MENU]

        async def chosen(at: int | None) -> None:
            if at is not None:
                command, node = choices[at]
                await self.app.run_action(command.action, node)

        self.app.push_screen(ChooseScreen("Menu", [command.title for command, _ in choices]), chosen)

    def action_pane(self, step: int) -> None:
        """Go to the next pane, to the one before where negative."""
        panes = (self.packets, self.details, self.bytes)
        panes[(self.panes.focused + step) % len(panes)].focus()

    def action_pause(self) -> None:
        """Show nothing new, or all that came meanwhile."""
        self.paused = self.session.sieve.rows if self.paused is None else None
        self.show_standing()
        self.pull(always=True)

    def action_zoom(self) -> None:
        """Give the focused pane all the space, or take it back."""
        self.panes.zoomed = not self.panes.zoomed

    def action_arrange(self) -> None:
        """Take the next arrangement of the panes."""
        self.panes.zoomed = False
        self.panes.cycle()
        self._remember()

    def action_grow(self, cells: int) -> None:
        """Make the focused pane larger, or smaller where negative."""
        self.panes.grow(cells)
        self._remember()

    def on_mount(self) -> None:
        arrangement = self.state.arrangement
        if arrangement in Arrangement.__members__:
            self.panes.arrangement = Arrangement[arrangement]
        if (shares := self.state.shares.get(self.panes.arrangement.name)) is not None:
            self.panes.shares = Shares(*(min(max(float(share), 0.0), 1.0) for share in shares))

    def on_panes_changed(self) -> None:
        self._remember()

    def _remember(self) -> None:
        self.state.arrangement = self.panes.arrangement.name
        self.state.shares[self.panes.arrangement.name] = list(self.panes.shares)
