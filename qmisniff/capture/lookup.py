# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask the name service at the start which services there are: QRTR data names ports, and who serves them may have
been announced long before the capture.

The answers become control packets marked synthetic, so that a saved capture is complete in itself.
"""

from __future__ import annotations

import contextlib
import errno
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Protocol

from qmisniff.capture import header
from qmisniff.capture.header import Address
from qmisniff.frame import Flag, Frame, Hook, Origin

_PATIENCE = 1.0  # seconds for the answers, which come at once where there is a name service
_SERVER = struct.Struct("<IIIII")
_NUMBER = re.compile("[0-9]{1,12}")
REASONS = {
    errno.EAFNOSUPPORT: "this kernel has no QRTR sockets here (module qrtr, initial network namespace)",
    errno.ENODEV: "no name service is running",
    errno.ECONNRESET: "no name service is running",
    errno.ENETRESET: "the name service was replaced by another",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
}


class Lookup(Protocol):
    """Which services a name service knows. `problem` says why that is not told, `seen` whether its end is a packet."""

    problem: str
    seen: bool

    def answers(self, origin: Origin, wait: bool = False) -> list[Frame]:
        """The answers that are there, or with `wait` all that there will be."""

    def close(self) -> None:
        """End the lookup. A second call does nothing."""


class ServiceLookup:
    """A lookup of every service, under way until it is closed. `problem` says why there is none.

    Closing its socket tells every node so (DEL_CLIENT): real traffic, for the taps to see.
    """

    seen = True

    def __init__(self, make_socket: Callable[[], socket.socket] | None = None) -> None:
        self.problem = ""
        self._socket: socket.socket | None = None
        self._local = Address(0, 0)
        try:
            self._socket = (make_socket or qrtr_socket)()
            node, _ = self._socket.getsockname()
            ask = header.server(header.NEW_LOOKUP, 0, 0, Address(0, 0))
            self._socket.sendto(ask, (node, header.PORT_CTRL))
            self._local = Address(*self._socket.getsockname())
        except OSError as error:
            self.problem = REASONS.get(error.errno or 0, error.strerror or str(error))
            self.close()

    def answers(self, origin: Origin, wait: bool = False) -> list[Frame]:
        """The answers that are there, or with `wait` all up to the mark that ends the list."""
        frames: list[Frame] = []
        until = time.monotonic() + (_PATIENCE if wait else 0)
        while self._socket is not None:
            self._socket.settimeout(max(until - time.monotonic(), 0))
            try:
                payload, (node, port) = self._socket.recvfrom(4096)
            except OSError as error:
                if error.errno == errno.ENETRESET:
                    self.problem = REASONS[errno.ENETRESET]
                break  # nothing (more) came
            if port != header.PORT_CTRL or len(payload) < _SERVER.size:
                continue
            command, *server = _SERVER.unpack_from(payload)
            if command == header.NEW_SERVER and not any(server):
                if wait:
                    break
                continue
            if command in (header.NEW_SERVER, header.DEL_SERVER):
                frames.append(self._frame(command, Address(node, port), payload, origin))
        return frames

    def wait(self, timeout: float) -> None:
        """Wait until there may be an answer, at most `timeout` seconds."""
        if self._socket is not None:
            select.select([self._socket], [], [], timeout)

    def close(self) -> None:
        """End the lookup. A second call does nothing."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _frame(self, kind: int, source: Address, payload: bytes, origin: Origin) -> Frame:
        return _synthetic(kind, source, self._local, payload, origin)


class RemoteLookup:
    """What qrtr-lookup (Linux's qrtr tools, or a phone's vendor partition) has printed on another machine."""

    seen = False

    def __init__(self, printed: str) -> None:
        rows = [line.split()[:5] for line in printed.splitlines()]
        self._rows = [list(map(int, row)) for row in rows if len(row) == 5 and all(map(_NUMBER.fullmatch, row))]
        self.problem = "" if self._rows else "the target has no qrtr-lookup, or no name service"

    def answers(self, origin: Origin, wait: bool = False) -> list[Frame]:
        rows, self._rows = self._rows, []
        frames = []
        for service, version, instance, node, port in rows:
            if max(service, node, port) < 1 << 32 and version < 1 << 8 and instance < 1 << 24:
                payload = header.server(header.NEW_SERVER, service, instance << 8 | version, Address(node, port))
                # The name server's own node is not told: that of local addresses stands for it.
                name_server = Address(header.LOCAL_NODE, header.PORT_CTRL)
                frames.append(_synthetic(header.NEW_SERVER, name_server, name_server, payload, origin))
        return frames

    def close(self) -> None:
        self._rows = []


def _synthetic(kind: int, source: Address, destination: Address, payload: bytes, origin: Origin) -> Frame:
    data = header.header(kind, source, destination, len(payload)) + payload + header.padding(len(payload))
    return Frame(time.time_ns(), data, len(data), hook=Hook.LOOKUP, flags=Flag.SYNTHETIC, origin=origin)


def qrtr_socket() -> socket.socket:
    """A QRTR socket of our own. Raises OSError."""
    return socket.socket(header.AF_QIPCRTR, socket.SOCK_DGRAM)
