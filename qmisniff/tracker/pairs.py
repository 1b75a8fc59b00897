# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests and their responses among messages by the ten thousand, found when somebody asks.

They are found by sorting: in one place stand all messages of one client, server, transaction and message id, in order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I8, U1, U2, U4, U8, Mask
from qmisniff.tracker import ROW, ROW_BITS, Address, Tracker

if TYPE_CHECKING:
    from qmisniff.tracker.bulk import Flows


_AT_ONCE = 8  # runs of frames


class Others(NamedTuple):
    """Requests and responses that `Messages` has no columns for: several in one frame, or in a USB transfer."""

    keys: U8  # as Pairs has them
    places: I8  # index in the frame << 32 | row
    response: Mask


class Messages(NamedTuple):
    """Frames, as columns, from row `first` on."""

    first: int
    flow: U4
    type: U1  # of the QMI message, 255 without one
    txn: U2
    msgid: U2
    paired: Mask  # the message's length is right, so that it counts
    silent: list[int]  # rows, less `first`, of frames that hold no message after all
    others: Others | None


class Pairs:
    """Messages that have not been paired yet, and the requests without a response among the others."""

    def __init__(self, tracker: Tracker, flows: Flows) -> None:
        self._tracker = tracker
        self._flows = flows
        self._lock = Lock()  # rows come in one thread, who asks may be another
        self._waiting: list[Messages] = []
        # Of open requests: flow << 32 | message id << 16 | transaction, and the place (Tracker.open).
        self._keys: U8 = np.empty(0, np.uint64)
        self._places: I8 = np.empty(0, np.int64)

    def add(self, messages: Messages) -> None:
        """Take what follows the rows taken so far."""
        self._waiting.append(messages)

    def settle(self, row: int | None = None) -> None:
        """Pair all there is, unless the row that is asked about cannot have a partner."""
        if not self._waiting or (row is not None and not self._counts(row)):
            return
        with self._lock:
            while batch := self._waiting[:_AT_ONCE]:
                self._pair(batch)
                del self._waiting[: len(batch)]

    def hand_over(self) -> None:
        """Put the open requests into the tracker's own table."""
        self.settle()
        self._tracker.pairs = None
        for key, place in zip(self._keys.tolist(), self._places.tolist(), strict=True):
            flow, msgid, txn = key >> 32, key >> 16 & 0xFFFF, key & 0xFFFF
            source, target = int(self._flows.source[flow]), int(self._flows.target[flow])
            if self._flows.qmux[flow]:
                self._tracker.open[source, target, txn, msgid] = place
            else:
                self._tracker.open[_address(source), _address(target), txn, msgid] = place

    def _counts(self, row: int) -> bool:
        """May the row be one that waits and has a partner?"""
        waiting = list(self._waiting)  # as it is now: another thread may be at work
        number = bisect_right(waiting, row, key=attrgetter("first")) - 1
        if number < 0 or row - waiting[number].first >= len(waiting[number].flow):
            return False
        messages, place = waiting[number], row - waiting[number].first
        return messages.others is not None or bool(messages.paired[place] and messages.type[place] <= qmi.RESPONSE)

    def _pair(self, batch: list[Messages]) -> None:
        found = [self._of(messages) for messages in batch]
        keys = np.concatenate([self._keys, *(each.keys for each in found)])
        places = np.concatenate([self._places, *(each.places for each in found)])
        response = np.concatenate([np.zeros(len(self._keys), bool), *(each.response for each in found)])
        if not len(keys):
            return
        order = _sorted(keys)
        keys, places, response = keys[order], places[order], response[order]
        same = keys[1:] == keys[:-1]
        hit = np.flatnonzero(same & response[1:] & ~response[:-1] & (places[1:] & ROW != places[:-1] & ROW))
        self._note(batch, places[hit], places[hit + 1])
        left = ~response & np.append(~same, True)
        self._keys, self._places = keys[left], places[left]

    def _note(self, batch: list[Messages], asked: I8, answered: I8) -> None:
        """Tell the tracker of pairs of places; the responses are all in the batch."""
        first = batch[0].first
        partner = np.full(batch[-1].first + len(batch[-1].flow) - first, -1, np.int32)
        simple, here = answered >> ROW_BITS == 0, (asked >> ROW_BITS == 0) & (asked >= first)
        partner[answered[simple] - first] = asked[simple] & ROW
        partner[asked[here] - first] = answered[here] & ROW
        self._tracker.partners[first : first + len(partner)] = array("i", partner.tobytes())
        for some, partners, done in ((asked, answered, here), (answered, asked, simple)):
            for place, other in zip(some[~done].tolist(), (partners[~done] & ROW).tolist(), strict=True):
                self._tracker.set_partner(place, other)

    def _of(self, messages: Messages) -> Others:
        """All requests and responses of these frames, in order."""
        first, count = messages.first, len(messages.flow)
        server = np.frombuffer(self._tracker.server_column[first : first + count], np.uint32)
        other = np.array([each is not None and each.service in qmi.NOT_QMI for each in self._tracker.offered])
        counts = messages.paired & (messages.type <= qmi.RESPONSE) & ~other[server]
        counts[messages.silent] = False
        places = np.flatnonzero(counts)
        flow, response = messages.flow[places], messages.type[places] == qmi.RESPONSE
        # A request and its response have the flow of the request in common.
        keys = np.where(response, self._flows.reverse[flow], flow).astype(np.uint64) << np.uint64(32)
        keys |= messages.msgid[places].astype(np.uint64) << np.uint64(16) | messages.txn[places]
        simple, others = Others(keys, places + first, response), messages.others
        if others is None:
            return simple
        keys = np.concatenate([simple.keys, others.keys])
        places = np.concatenate([simple.places, others.places])
        response = np.concatenate([simple.response, others.response])
        order = np.lexsort((places >> ROW_BITS, places & ROW))
        return Others(keys[order], places[order], response[order])


def _address(end: int) -> Address:
    return end & 0xFFFFFFFF, end >> 32


def _sorted(keys: U8) -> I8:
    """An order in which equal keys stand together, and among them earlier ones first."""
    mixed = keys * np.uint64(0x9E3779B97F4A7C15)
    # Sorting numbers is several times faster than sorting places by them: the place takes the low bits of a hash.
    low = (np.uint64(1) << np.uint64(len(keys).bit_length())) - np.uint64(1)
    joined = np.sort(mixed & ~low | np.arange(len(keys), dtype=np.uint64))
    order = (joined & low).astype(np.int64)
    near = np.flatnonzero((joined[1:] & ~low) == (joined[:-1] & ~low))
    if (keys[order[near]] == keys[order[near + 1]]).all():
        return order
    return np.argsort(keys, kind="stable")  # two keys have one hash
