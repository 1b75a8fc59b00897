# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packets of a large capture file may have a comment: found in bulk, since hardly any has one."""

from __future__ import annotations

import numpy as np

from qmisniff import pcapng
from qmisniff.store.blocks import Run
from qmisniff.store.headers import gather

_MOST_OPTIONS = 6  # of a packet; one with more may have a comment


def commented(run: Run) -> list[tuple[int, int, int]]:
    """Of records that follow each other: which, and where in the file their options begin and end."""
    words = np.dtype(
        [(name, run.order + "u4") for name in ("code", "length", *(field for field, _ in pcapng.PACKET.fields))]
    )
    head = gather(run.data, run.starts, words)
    at = run.starts + words.itemsize + (head["captured"].astype(np.int64) + 3 & ~3)
    end = run.starts + head["length"] - 4
    rows = np.flatnonzero(end - at >= 8)
    starts = at
    at, last = at[rows], end[rows]
    option = np.dtype([("code", run.order + "u2"), ("size", run.order + "u2")])
    hits = []
    for _ in range(_MOST_OPTIONS):
        if not len(rows):
            break
        found = gather(run.data, at, option)
        after = at + 4 + (found["size"].astype(np.int64) + 3 & ~3)
        hits.append(rows[found["code"] == pcapng.OPT_COMMENT])
        more = (found["code"] > pcapng.OPT_COMMENT) & (after + 4 <= last)
        rows, at, last = rows[more], after[more], last[more]
    hits.append(rows)
    chosen = np.sort(np.concatenate(hits))
    places = (chosen, starts[chosen] + run.base, end[chosen] + run.base)
    return list(zip(*(each.tolist() for each in places), strict=True))
