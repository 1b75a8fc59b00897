# SPDX-License-Identifier: GPL-2.0-or-later
"""Who talks to whom, each pair kept once: a row holds the number of its flow.

A flow has a direction. Its ends are QRTR addresses, or of QMUX frames the service and the client.
"""

from __future__ import annotations

from threading import Lock

import numpy as np

from qmisniff.protocol.arrays import U4, U8, Mask
from qmisniff.store.distinct import Distinct


class Flows:
    """Every flow there ever was; number 0 stands for none."""

    def __init__(self) -> None:
        self._lock = Lock()  # rows come in one thread, who asks for `reverse` may be another
        self._count = 0
        self._source: U8 = np.zeros(64, np.uint64)
        self._target: U8 = np.zeros(64, np.uint64)
        self._qmux = np.zeros(64, bool)
        self._reverse: U4 = np.zeros(1, np.uint32)
        self._packets = Distinct(2, lambda ends: self._add(*ends, qmux=False))
        self._frames = Distinct(2, lambda ends: self._add(*ends, qmux=True))
        self._add(0, 0, qmux=False)

    @property
    def source(self) -> U8:
        """By number: the address that sends, port << 32 | node; the service of QMUX frames."""
        return self._source

    @property
    def target(self) -> U8:
        """By number: the address that is sent to; the client of QMUX frames."""
        return self._target

    @property
    def qmux(self) -> Mask:
        """By number: whether its ends are service and client."""
        return self._qmux

    def packets(self, source: U8, target: U8) -> U4:
        """The flows of QRTR packets between these addresses."""
        with self._lock:
            return self._packets.of((source, target))

    def frames(self, service: U8, client: U8) -> U4:
        """The flows of QMUX frames. What else tells clients apart, such as the device, is to be part of `service`."""
        with self._lock:
            return self._frames.of((service, client))

    @property
    def reverse(self) -> U4:
        """By number: the flow of the answers. That of QMUX frames is itself."""
        start, stop = len(self._reverse), self._count
        if start < stop:
            numbers = np.arange(start, stop, dtype=np.uint32)
            qmux = self._qmux[start:stop]
            back = self.packets(self._target[start:stop][~qmux], self._source[start:stop][~qmux])
            numbers[~qmux] = back
            self._reverse = np.concatenate([self._reverse, numbers])
        return self._reverse

    def _add(self, source: int, target: int, *, qmux: bool) -> int:
        number = self._count
        if number == len(self._source):
            # New arrays: another thread may be looking at the old ones.
            self._source, self._target, self._qmux = (
                np.concatenate([column, np.zeros_like(column)]) for column in (self._source, self._target, self._qmux)
            )
        self._source[number], self._target[number], self._qmux[number] = source, target, qmux
        self._count = number + 1
        return number
