# SPDX-License-Identifier: GPL-2.0-or-later
"""Every frame of a capture, append-only: the row number is the frame number less one.

The same for files and live capture. One thread may append while others read rows below `len(store)`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from qmisniff.frame import Frame, Origin
from qmisniff.protocol.context import Context
from qmisniff.store.chunk import Chunk, Names
from qmisniff.tracker import Tracker

if TYPE_CHECKING:
    from qmisniff.store.columns import Columns
    from qmisniff.store.flows import Flows


class Store:
    """Frames by row and in columns, and what the tracker knows about each."""

    def __init__(self) -> None:
        self.names = Names()
        self.tracker = Tracker()
        self._chunks: list[Chunk] = []
        self._firsts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def tasks(self) -> Sequence[tuple[int, str]]:
        """Process id and command by the numbers in the column `task`."""
        return self.names.tasks

    @property
    def origins(self) -> Sequence[Origin]:
        """Origins by the numbers in the column `origin`."""
        return self.names.origins

    @cached_property
    def flows(self) -> Flows:
        """Who talks to whom, by the numbers in the column `flow`."""
        from qmisniff.store.flows import Flows

        return Flows()

    def extend(self, frames: Iterable[Frame]) -> None:
        """Append frames in order of capture."""
        for frame in frames:
            if not self._chunks or self._chunks[-1].full:
                self._add(Chunk.empty())
            self._chunks[-1].append(frame, self.names)
            self.tracker.add(frame)
            # Last: a row counts once everything about it can be asked.
            self._count += 1

    def extend_chunks(self, chunks: Iterable[Chunk]) -> None:
        """Append what `qmisniff.store.bulk` made of a file and the tracker has been told of."""
        for chunk in chunks:
            self._add(chunk)
            self._count += chunk.count

    def frame(self, row: int) -> Frame:
        """The frame of a row; IndexError beyond the end."""
        row = self._row(row)
        number = bisect_right(self._firsts, row) - 1
        return self._chunks[number].frame(row - self._firsts[number], self.tracker.ts_ns(row), self.names)

    def context(self, row: int) -> Context:
        """What the frames seen so far say about a row's frame; IndexError beyond the end."""
        return self.tracker.context(self._row(row))

    def settle(self) -> None:
        """Find out now which response belongs to which request: who asks about a row later need not wait for that."""
        if self.tracker.pairs is not None:
            self.tracker.pairs.settle()

    def columns(self, start: int = 0, stop: int | None = None) -> Iterator[Columns]:
        """The rows from `start` up to `stop` (all there are) as numpy columns, some ten thousand rows at a time."""
        from qmisniff.store.columns import Columns

        stop = self._count if stop is None else min(stop, self._count)
        while start < stop:
            number = bisect_right(self._firsts, start) - 1
            first, chunk = self._firsts[number], self._chunks[number]
            end = min(stop, first + chunk.count)
            yield Columns(chunk, first, start - first, end - first, self)
            start = end

    def _row(self, row: int) -> int:
        if not -self._count <= row < self._count:
            raise IndexError(row)
        return row % self._count

    def _add(self, chunk: Chunk) -> None:
        self._firsts.append(self._count)
        self._chunks.append(chunk)
