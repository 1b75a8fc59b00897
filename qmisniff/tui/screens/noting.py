# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks, comments, time references and ignored packets."""

from __future__ import annotations

from collections.abc import Iterable

from qmisniff.tui import commands
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.moving import Moving


class Noting(Moving):
    """The commands that note something about packets."""

    OFFERS = commands.NOTES
    BINDINGS = commands.bindings(OFFERS)

    def _noted(self) -> None:
        self.packets.refresh()
        self.pull()

    def action_mark(self) -> None:
        """Mark the packet, or take its mark away."""
        if (row := self.packets.selected) is not None:
            self.session.notes.toggle_mark(row)
            self._noted()

    def action_mark_shown(self) -> None:
        """Mark all packets that are shown."""
        self.session.notes.marked |= set(self.packets.rows)
        self._noted()

    def action_unmark(self) -> None:
        """Take all marks away."""
        self.session.notes.marked.clear()
        self._noted()

    def action_to_mark(self, step: int) -> None:
        """Go to the next marked packet, to the one before where negative."""
        self._to(self.session.notes.marked, step, "marked")

    def action_to_comment(self) -> None:
        """Go to the next packet with a comment."""
        self._to(self.session.notes.comments, 1, "commented")

    def _to(self, rows: Iterable[int], step: int, what: str) -> None:
        here = self.packets.cursor_line
        lines = sorted(line for row in rows if (line := self.packets.line_of(row)) is not None)
        if not lines:
            self.notify(f"No packet shown is {what}.", timeout=3)
        elif step > 0:
            self.go_to(self.packets.rows[next((line for line in lines if line > here), lines[0])])
        else:
            self.go_to(self.packets.rows[next((line for line in reversed(lines) if line < here), lines[-1])])

    def action_ignore(self) -> None:
        """Show the packet without its content, or with it again."""
        if (row := self.packets.selected) is not None:
            self.session.notes.toggle_ignored(row)
            self.show_packet(row)
            self._noted()

    def action_reference(self) -> None:
        """Let times begin anew at the packet, or no longer."""
        if (row := self.packets.selected) is not None:
            self.session.notes.toggle_reference(row)
            self._noted()

    def action_comment(self) -> None:
        """Write a comment to the packet."""
        row = self.packets.selected
        if row is None:
            return

        def answered(text: str | None) -> None:
            if text is not None:
                self.session.comment(row, text.strip())
                self.show_packet(row)
                self._noted()

        before = self.session.notes.comments.get(row, "")
        self.app.push_screen(AskScreen(f"Comment to packet {row + 1}", before), answered)
