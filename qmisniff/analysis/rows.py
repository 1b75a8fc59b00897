# SPDX-License-Identifier: GPL-2.0-or-later
"""Some rows of a store, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from qmisniff.protocol.arrays import I8
from qmisniff.store import Store
from qmisniff.store.columns import Columns

Rows = Sequence[int] | I8  # ascending
Cancel = Callable[[], bool]


class Cancelled(Exception):
    """Nobody wants the answer any more."""


def never() -> bool:
    """Go on to the end."""
    return False


def pieces(store: Store, rows: Rows, cancel: Cancel = never) -> Iterator[tuple[Columns, I8]]:
    """The chunks that hold any of the rows, and which places of each are meant. Raises Cancelled once `cancel` says so.

    The columns are of whole chunks: what they find out is kept for who asks next.
    """
    wanted = numbers(rows)
    if not len(wanted):
        return
    for columns in store.columns():
        if cancel():
            raise Cancelled
        low, high = np.searchsorted(wanted, (columns.first, columns.first + len(columns)))
        if low < high:
            yield columns, wanted[low:high] - columns.first
        if high == len(wanted):
            return


def numbers(rows: Rows) -> I8:
    """Rows as an array."""
    if isinstance(rows, range):
        return np.arange(rows.start, rows.stop, rows.step, dtype=np.int64)
    return rows if isinstance(rows, np.ndarray) else np.fromiter(rows, np.int64, len(rows))


def times(store: Store, rows: I8) -> I8:
    """When these rows were seen, nanoseconds since 1970."""
    if not len(rows):
        return np.empty(0, np.int64)
    low, high = int(rows.min()), int(rows.max()) + 1
    # A slice of the column is a copy: the column itself could not grow while an array looks at it.
    return np.frombuffer(store.tracker.ts_column[low:high], np.int64)[rows - low]


def partners(store: Store, rows: I8) -> I8:
    """The row of the response of each request and of the request of each response; -1 where there is none."""
    if not len(rows):
        return np.empty(0, np.int64)
    low, high = int(rows.min()), int(rows.max()) + 1
    found = np.frombuffer(store.tracker.partner_column[low:high], np.int32)[rows - low].astype(np.int64)
    found[found >= len(store)] = -1  # it is being added just now
    return found
