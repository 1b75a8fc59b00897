# SPDX-License-Identifier: GPL-2.0-or-later
"""Chosen rows of a store as columns, some thousand at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qmisniff.protocol.arrays import Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns

_AT_ONCE = 8192  # rows: what is made of them stays small


class Batch(NamedTuple):
    """Columns, and the places in them of the rows that were chosen, in order."""

    columns: Columns
    places: Numbers


def batches(store: Store, rows: Sequence[int]) -> Iterator[Batch]:
    """These rows, which are in order."""
    chosen = np.asarray(rows, np.int64)
    at = 0
    while at < len(chosen):
        first = int(chosen[at])
        last = int(chosen[min(at + _AT_ONCE, len(chosen)) - 1])
        columns = next(store.columns(first, last + 1))
        stop = int(np.searchsorted(chosen, first + len(columns)))
        yield Batch(columns, chosen[at:stop] - first)
        at = stop
