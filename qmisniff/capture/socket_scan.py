# SPDX-License-Identifier: GPL-2.0-or-later
"""Which processes have QRTR sockets, and what the addresses of these are.

The socket's protocol is the attribute system.sockprotoname of what /proc/PID/fd points to (net/socket.c).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qmisniff.capture.header import AF_QIPCRTR, Address

_PROC = Path("/proc")
_PROTOCOL = b"QIPCRTR"
_PIDFD_GETFD = 438  # system call, the same number on every processor (Linux 5.6)
_MOST_STRANGERS = 1 << 16


class Ends(NamedTuple):
    """Of a socket: its own address, and the one it is connected to."""

    own: Address | None
    peer: Address | None


class State(NamedTuple):
    """Of a process or thread, from its `status`."""

    name: str
    process: int
    tracer: int  # 0: nobody traces it


class Scanner:
    """Looks for sockets again and again; remembers which are none of QRTR's."""

    def __init__(self) -> None:
        self._strangers: set[int] = set()

    def sockets(self) -> Iterator[tuple[int, int, int]]:
        """(process, descriptor, inode) of every QRTR socket that we may see, but our own."""
        for folder in _PROC.iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                with contextlib.suppress(OSError):
                    for descriptor, inode in self._of(folder / "fd"):
                        yield int(folder.name), descriptor, inode

    def _of(self, folder: Path) -> Iterator[tuple[int, int]]:
        for entry in os.scandir(folder):
            path = entry.path
            with contextlib.suppress(OSError, ValueError):
                link = os.readlink(path)  # noqa: PTH115 - there are thousands of them at each look
                if not link.startswith("socket:["):
                    continue
                inode = int(link[8:-1])
                if inode in self._strangers:
                    continue
                if os.getxattr(path, "system.sockprotoname").rstrip(b"\0") == _PROTOCOL:
                    yield int(entry.name), inode
                else:
                    if len(self._strangers) >= _MOST_STRANGERS:
                        self._strangers.clear()
                    self._strangers.add(inode)


def has_qrtr() -> bool:
    """Whether the kernel has QRTR sockets now: asking for one would load the module."""
    try:
        return any(line.startswith("QIPCRTR ") for line in (_PROC / "net/protocols").read_text().splitlines())
    except OSError:
        return True  # not told: whoever opens one will see


def state(thread: int) -> State | None:
    """What a process or thread is called and whose it is; None when it has gone."""
    try:
        text = (_PROC / str(thread) / "status").read_text("utf-8", "backslashreplace")
        fields = dict(line.partition(":\t")[::2] for line in text.splitlines())
        process = int(fields["Tgid"])
        name = (_PROC / str(process) / "comm").read_text("utf-8", "backslashreplace").rstrip("\n")
        return State(name, process, int(fields.get("TracerPid", "0")))
    except (OSError, ValueError, KeyError):
        return None


def ends(process: int, descriptor: int, inode: int) -> Ends:
    """The addresses of another process' socket, seen through a copy of it; nothing where that is not possible."""
    try:
        import ctypes  # not every phone's Python has it

        pidfd = os.pidfd_open(process)
        try:
            copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        finally:
            os.close(pidfd)
        if copy < 0:
            return Ends(None, None)
        try:
            if os.fstat(copy).st_ino != inode:
                return Ends(None, None)  # closed, and another opened
            return _ends(copy)
        finally:
            os.close(copy)
    except (ImportError, AttributeError, OSError):
        return Ends(None, None)


def _ends(descriptor: int) -> Ends:
    seen = socket.socket(AF_QIPCRTR, socket.SOCK_DGRAM, 0, fileno=descriptor)
    try:
        own = Address(*seen.getsockname())
        try:
            return Ends(own, Address(*seen.getpeername()))
        except OSError:
            return Ends(own, None)  # not connected
    finally:
        seen.detach()
