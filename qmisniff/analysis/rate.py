# SPDX-License-Identifier: GPL-2.0-or-later
"""How many packets and bytes came in each stretch of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis.rows import Cancel, Rows, never, pieces
from qmisniff.protocol.arrays import I8
from qmisniff.store import Store

_STEPS = (1, 2, 5)


class Rate(NamedTuple):
    """Stretch number n begins `start_ns + n * step_ns`, nanoseconds since 1970."""

    start_ns: int
    step_ns: int
    packets: I8
    bytes: I8


def rate(store: Store, rows: Rows, most: int, span: tuple[int, int] | None = None, cancel: Cancel = never) -> Rate:
    """At most so many stretches, of a round length, from the first of these rows to the last; or over `span`, the times
    of another first and last. Raises Cancelled."""
    found = [(columns.ts_ns[places], columns.orig_len[places]) for columns, places in pieces(store, rows, cancel)]
    if not found:
        return Rate(0, 1, np.zeros(0, np.int64), np.zeros(0, np.int64))
    ts, size = (np.concatenate(parts) for parts in zip(*found, strict=True))
    low, high = span or (int(ts.min()), int(ts.max()))
    step = round_step(high - low, most)
    start = low // step * step
    count = (high - start) // step + 1
    place = (ts - start) // step
    inside = (place >= 0) & (place < count)
    packets = np.bincount(place[inside], minlength=count)
    sizes = np.bincount(place[inside], size[inside], count)
    return Rate(start, step, packets.astype(np.int64), sizes.astype(np.int64))


def round_step(length_ns: int, most: int) -> int:
    """The smallest of 1, 2, 5, 10, ... of which `most` cover the length wherever it begins."""
    least = length_ns // max(most - 1, 1) + 1
    power: int = 10 ** (len(str(least)) - 1)
    return min(step * power for step in (*_STEPS, 10) if step * power >= least)
