# SPDX-License-Identifier: GPL-2.0-or-later
"""Every TLV of many messages at once, found in as many steps as the longest message has TLVs."""

from __future__ import annotations

import numpy as np

from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I8, U1, U2, Mask, Numbers
from qmisniff.store.headers import gather

_MAX_TLVS = 256  # of one message: there are no more types
_HEAD = np.dtype("<u4")
_CODES = ("u2", "u1", "u2", "i8")


class TlvIndex:
    """Every TLV of some of `count` messages: first all first ones, then all second ones, and so on. `rows` are the
    places of these messages among all, `at` and `end` where their TLVs begin and end in the buffer.

    `index` is the message's place, `type` and `length` the TLV's, `value` where its value begins. `broken` marks
    messages of which no TLV is listed: they do not fill the message, or are too many.
    """

    def __init__(self, buffer: U1, count: int, rows: I8, at: I8, end: I8) -> None:
        self.broken: Mask = np.zeros(count, bool)
        live = rows.astype(np.int32)
        found: list[tuple[Numbers, ...]] = []
        for _ in range(_MAX_TLVS):
            heads = end - at >= qmi.TLV_HEAD.size
            if not heads.all():
                self.broken[live[~heads]] = True
                live, at, end = live[heads], at[heads], end[heads]
            if not len(live):
                break
            # Type and length at once, with the byte before them: behind them there may be none.
            head = gather(buffer, at - 1, _HEAD)
            length = (head >> 16).astype(np.uint16)
            value = at + qmi.TLV_HEAD.size
            found.append((live.astype(np.uint16), (head >> 8).astype(np.uint8), length, value))
            at = value + length
            more = at < end
            if not more.all():
                self.broken[live[at > end]] = True
                live, at, end = live[more], at[more], end[more]
        self.broken[live] = True
        index, types, lengths, values = (
            map(np.concatenate, zip(*found, strict=True)) if found else (np.empty(0, code) for code in _CODES)
        )
        if self.broken.any():
            kept = ~self.broken[index]
            index, types, lengths, values = index[kept], types[kept], lengths[kept], values[kept]
        self.index: U2 = index
        self.type: U1 = types
        self.length: U2 = lengths
        self.value: I8 = values

    def __len__(self) -> int:
        return len(self.index)
