# SPDX-License-Identifier: GPL-2.0-or-later
"""The packets that belong together: a transaction, or all of a conversation."""

from __future__ import annotations

import numpy as np

from qmisniff.analysis.packets import packets
from qmisniff.analysis.rows import Cancel, Rows, never
from qmisniff.dissect import Dissector
from qmisniff.protocol.arrays import I8
from qmisniff.store import Store


def same_transaction(store: Store, row: int) -> I8:
    """The row with its request or response, if it has one."""
    context = store.context(row)
    other = context.request or context.response
    return np.array(sorted({row, row if other is None else other - 1}), np.int64)


def same_conversation(store: Store, dissector: Dissector, rows: Rows, row: int, cancel: Cancel = never) -> I8:
    """Which of the rows go between the same two addresses, of the same service as `row`, either way; `row` alone where
    it is no part of a conversation. Raises Cancelled."""
    this = packets(store, dissector, [row])
    if not len(this.row):
        return np.array([row], np.int64)
    found = packets(store, dissector, rows, cancel)
    there = (found.source == this.source) & (found.target == this.target)
    back = (found.source == this.target) & (found.target == this.source)
    mine: I8 = found.row[(there | back) & (found.service == this.service)]
    return mine
