# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rows pass the display filter: worked out in a thread, some rows at a time, for a store that may still grow."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import overload

from qmisniff.dissect import Dissector
from qmisniff.errors import QmisniffError
from qmisniff.filter import Filter
from qmisniff.store import Store

_LATER = "qmi.response_in"  # the only field of a packet that a later packet can change


class Prefix(Sequence[int]):
    """The first `count` of a list of rows that others append to."""

    def __init__(self, rows: Sequence[int], count: int) -> None:
        self._rows = rows
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self._rows[at] for at in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._rows[index % self._count]


class Sieve:
    """The rows of a store that pass a filter; without one, all of them.

    `use` and `step` are called by the screen's thread, which never waits: it looks at `rows` when it paints.
    """

    def __init__(self, store: Store, dissector: Dissector) -> None:
        self._store = store
        self._dissector = dissector
        self._sifting: _Sifting | None = None

    @property
    def filter(self) -> Filter | None:
        """The filter in use."""
        return self._sifting.filter if self._sifting is not None else None

    @property
    def rows(self) -> Sequence[int]:
        """The rows that pass as far as they are known, in order; what it says does not change afterwards."""
        if self._sifting is None:
            return range(len(self._store))
        rows = self._sifting.rows
        return Prefix(rows, len(rows))

    @property
    def asked(self) -> int:
        """All rows below this one have been asked."""
        return len(self._store) if self._sifting is None else self._sifting.asked

    @property
    def running(self) -> bool:
        """Whether rows are being asked now."""
        return self._sifting is not None and self._sifting.running

    @property
    def seconds(self) -> float:
        """How long the filter has taken for the rows asked so far."""
        return 0.0 if self._sifting is None else self._sifting.seconds

    @property
    def problem(self) -> str:
        """Empty, or why no more rows are asked."""
        return "" if self._sifting is None else self._sifting.problem

    def use(self, chosen: Filter | None) -> None:
        """Ask another filter; what an older one has not been asked yet it is not asked any more."""
        if self._sifting is not None:
            self._sifting.cancelled = True
        self._sifting = None if chosen is None else _Sifting(chosen, self._store, self._dissector)
        self.step()

    def step(self) -> None:
        """Begin to ask about rows that have come since."""
        sifting = self._sifting
        if sifting is not None and not sifting.running and not sifting.problem and sifting.asked < len(self._store):
            sifting.running = True
            threading.Thread(target=sifting.run, name="filter", daemon=True).start()


class _Sifting:
    """One filter's way through a store. Everything but `cancelled` and the start is its thread's."""

    def __init__(self, chosen: Filter, store: Store, dissector: Dissector) -> None:
        self.filter = chosen
        self.rows: list[int] = []
        self.asked = 0
        self.running = False
        self.cancelled = False
        self.seconds = 0.0
        self.problem = ""
        self._store = store
        self._dissector = dissector
        self._first = len(store)  # rows that came later may answer earlier ones

    def run(self) -> None:
        """Ask the rows that are there now and were not asked yet."""
        before, began = self.seconds, time.monotonic()
        try:
            found = self.filter.rows(self._store, self._dissector, self.asked, None, lambda: self.cancelled)
            for rows, stop in found:
                self.rows += rows
                if stop > self._first and _LATER in self.filter.uses:
                    self._ask_again(self.asked, stop)
                self.asked = stop
                self.seconds = before + time.monotonic() - began
        except (QmisniffError, ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
            # Whatever is wrong with one packet must not end the screen: the rows found so far stay.
            self.problem = f"the filter stopped at packet {self.asked + 1}: {type(error).__name__}: {error}"
        finally:
            self.seconds = before + time.monotonic() - began
            self.running = False

    def _ask_again(self, start: int, stop: int) -> None:
        """Ask the requests before `start` that were answered by rows up to `stop`."""
        for row in range(start, stop):
            number = self._store.context(row).request
            if number is None or number > start:
                continue
            request = number - 1
            passes = self.filter.matches(self._store.frame(request), self._store.context(request), self._dissector)
            at = bisect_left(self.rows, request)
            there = at < len(self.rows) and self.rows[at] == request
            if passes != there:
                rows = list(self.rows)  # what was handed out stays as it is
                if passes:
                    insort(rows, request)
                else:
                    del rows[at]
                self.rows = rows
