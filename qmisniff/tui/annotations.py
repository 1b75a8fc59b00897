# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user noted about packets: marks, ignored ones, comments, time references. Rows are the store's."""

from __future__ import annotations

from bisect import bisect_right, insort


class Annotations:
    """Each packet may have any of them. Comments and marks are saved with a capture, the rest lasts as long as the
    program."""

    def __init__(self) -> None:
        self.marked: set[int] = set()
        self.ignored: set[int] = set()
        self.comments: dict[int, str] = {}
        self._references: list[int] = []

    def toggle_mark(self, row: int) -> None:
        """Mark a packet, or take its mark away."""
        self.marked ^= {row}

    def toggle_ignored(self, row: int) -> None:
        """Show a packet as if it had no content, or show it again."""
        self.ignored ^= {row}

    def comment(self, row: int, text: str) -> None:
        """Write a comment to a packet; an empty one takes it away."""
        if text:
            self.comments[row] = text
        else:
            self.comments.pop(row, None)

    def toggle_reference(self, row: int) -> None:
        """Let times begin anew at a packet, or no longer."""
        if row in self._references:
            self._references.remove(row)
        else:
            insort(self._references, row)

    def reference(self, row: int) -> int:
        """The packet that the time of a row counts from: the nearest reference, else the first of all."""
        at = bisect_right(self._references, row)
        return self._references[at - 1] if at else 0

    def mark_of(self, row: int) -> str:
        """One character for the list, blank where nothing was noted; of several the first in this order."""
        if row in self.ignored:
            return "x"
        if row in self.marked:
            return "*"
        if row in self._references:
            return "T"
        return "c" if row in self.comments else " "


NOTES = {
    "x": "ignored: shown without content",
    "*": "marked",
    "T": "a time reference: times count from here",
    "c": "has a comment",
}
