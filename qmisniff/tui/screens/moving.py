# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways from one packet to another on the main screen."""

from __future__ import annotations

from qmisniff.tui import commands
from qmisniff.tui.screens.desk import Desk


class Moving(Desk):
    """The commands that select another packet."""

    OFFERS = commands.PACKET
    BINDINGS = commands.bindings(OFFERS)

    def action_partner(self) -> None:
        """Go from a request to its response, or back."""
        row = self.packets.selected
        if row is None:
            return
        context = self.session.store.context(row)
        number = context.request or context.response
        if number is None:
            self.notify("No request or response to this packet is in the capture.", timeout=3)
        elif not self.packets.move_to_row(number - 1):
            self.notify(f"Packet {number} is not shown.", timeout=3)
