# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `names`: which services come and go, as the name service tells everybody who asks. No privileges."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from qmisniff.capture import socket_scan
from qmisniff.capture.lookup import REASONS, ServiceLookup, qrtr_socket
from qmisniff.capture.source import Availability, Opened, Statistics
from qmisniff.errors import SourceUnavailable
from qmisniff.frame import Frame, Origin

_MOST_NOTES = 10
_AGAIN = 1.0  # seconds between two tries to find a name service that has gone


class NameService(Opened):
    """The source `names`."""

    def __init__(self, make_socket: Callable[[], socket.socket] | None = None) -> None:
        self.origin = Origin("names", "names", "CLOCK_REALTIME, of when it was read", "a lookup of every service")
        self.notes: tuple[str, ...] = ()
        self._make_socket = make_socket or qrtr_socket
        self._lookup: ServiceLookup | None = None
        self._early: list[Frame] = []
        self._frames = 0
        self._stopping = False
        self._next_try = 0.0

    @property
    def statistics(self) -> Statistics:
        """Frames read. What the name service could not deliver it does not tell."""
        return Statistics(self._frames)

    def probe(self) -> Availability:
        """Whether this user may open a QRTR socket."""
        if not socket_scan.has_qrtr():
            return Availability(False, "the kernel has no QRTR sockets now", "modprobe qrtr")
        try:
            self._make_socket().close()
        except OSError as error:
            reason = REASONS.get(error.errno or 0, error.strerror or str(error))
            return Availability(False, f"a QRTR socket cannot be opened: {reason}", "run it as another user")
        return Availability(True, "the name service tells everybody")

    def open(self) -> None:
        """Ask for every service. Raises SourceUnavailable when there is no name service."""
        state = self.probe()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)
        self._lookup = ServiceLookup(self._make_socket)
        if self._lookup.problem:
            raise SourceUnavailable(self._lookup.problem, "start qrtr-ns where the kernel has no name service")
        self._early = self._lookup.answers(self.origin, wait=True)

    def read(self, timeout: float) -> list[Frame] | None:
        """What the name service told; see Source."""
        if self._lookup is None:
            return None
        frames, self._early = self._early, []
        until = time.monotonic() + timeout
        while not frames:
            if self._stopping:
                frames = self._lookup.answers(self.origin)
                self.close()
                break
            left = until - time.monotonic()
            if self._lookup.problem:
                self._ask_again(left)
            else:
                self._lookup.wait(max(left, 0))
            frames = self._lookup.answers(self.origin)
            if left <= 0:
                break
        self._frames += len(frames)
        return None if self._lookup is None and not frames else frames

    def stop(self) -> None:
        """See Source."""
        self._stopping = True

    def close(self) -> None:
        """End the lookup."""
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    def _ask_again(self, left: float) -> None:
        """The name service was replaced by another (ENETRESET), or has gone: ask whoever is there next."""
        assert self._lookup is not None
        time.sleep(min(max(self._next_try - time.monotonic(), 0), max(left, 0)))
        if time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + _AGAIN
        self._lookup.close()
        self._lookup = ServiceLookup(self._make_socket)
        if not self._lookup.problem:
            self.notes = (*self.notes[:_MOST_NOTES], "the name service was started anew: its services are told again")
