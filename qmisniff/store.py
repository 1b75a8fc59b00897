# SPDX-License-Identifier: GPL-2.0-or-later
"""Every frame of a capture, append-only: the row number is the frame number less one.

The same for files and live capture. One thread may append while another reads rows below `len(store)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.tracker import Tracker


class Store:
    """Frames by row, and what the tracker knows about each."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._tracker = Tracker()

    def __len__(self) -> int:
        return len(self._tracker)

    def extend(self, frames: Iterable[Frame]) -> None:
        """Append frames in order of capture."""
        for frame in frames:
            self._frames.append(frame)
            # Last: a row counts once everything about it can be asked.
            self._tracker.add(frame)

    def frame(self, row: int) -> Frame:
        """The frame of a row; IndexError beyond the end."""
        return self._frames[row]

    def context(self, row: int) -> Context:
        """What the frames seen so far say about a row's frame."""
        return self._tracker.context(row)
