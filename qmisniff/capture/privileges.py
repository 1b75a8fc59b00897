# SPDX-License-Identifier: GPL-2.0-or-later
"""Capturing without root: what needs it while a capture runs is kept by a small process, the *keeper*.

Once the source is open, the capture forks. The child stays root, looks at no packet, and does what is asked of it over
a socket: the acts that the source says its tap needs, and opening the next capture file, where there are several, whose
name it knows itself. When the socket closes, however the capture ended, it takes the tap out of the kernel. The parent,
which parses what others sent, becomes the user who called sudo, or nobody, for good.

A request is a JSON array, a reply a JSON object, each behind its length (4 bytes, little-endian).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from qmisniff.capture.source import Entrusted, Entrusting, Source
from qmisniff.capture.target import LocalTarget
from qmisniff.errors import QmisniffError, SourceFailed

_LENGTH = struct.Struct("<I")
_NOBODY = 65534
_NO_ID = (1 << 32) - 1  # as an argument it means: leave it
_LONGEST = 1 << 24  # bytes of a message: the largest are files of the kernel's that list events
_CLEANING_UP = 5.0  # seconds in which the other end of the tap must have let go of its files


Opener = Callable[[], BinaryIO]


class User(NamedTuple):
    """Whom a process can be."""

    uid: int
    gid: int


def caller() -> User | None:
    """The user who called sudo to run this as root; None where there is none."""
    try:
        uid, gid = int(os.environ.get("SUDO_UID", "")), int(os.environ.get("SUDO_GID", ""))
    except ValueError:
        return None
    return User(uid, gid) if not os.geteuid() and 0 < uid < _NO_ID and 0 <= gid < _NO_ID else None


def leave_root(source: Source, opener: Opener | None) -> tuple[Opener | None, str]:
    """Where this process is root and an open source can do without: become somebody else for good.

    `opener` opens further files, None where there will be none. Returns what does so from now on, and a line for the
    user. Raises SourceFailed.
    """
    if os.geteuid():
        return opener, ""
    if not isinstance(source, Entrusting) or (entrusted := source.entrusted) is None:
        return opener, "this source goes on as root"
    try:
        keeper = Keeper(entrusted, opener)
    except OSError as error:
        raise SourceFailed(f"no process can be started to keep the probes: {error.strerror}") from None
    source.entrust(KeptTarget(keeper))
    user = caller() or User(_NOBODY, _NOBODY)
    try:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:  # a container may not allow it
        return opener and keeper.open_file, f"goes on as root: {error.strerror}"
    return opener and keeper.open_file, f"goes on as user {user.uid}, without root"


class Keeper:
    """The process that keeps what is `entrusted`, and opens files with `opener` if there is one. Raises OSError."""

    def __init__(self, entrusted: Entrusted, opener: Opener | None) -> None:
        self._channel, far = socket.socketpair()
        try:
            self._pid = os.fork()
        except OSError:
            self._channel.close()
            far.close()
            raise
        if not self._pid:
            _keep(far, entrusted, opener)
        far.close()

    def ask(self, act: str, path: str, text: str = "") -> Any:
        """An act on a file, as LocalTarget calls it. Raises OSError."""
        return self._ask(act, path, text)[0]

    def open_file(self) -> BinaryIO:
        """The next capture file. Raises OSError, and what the opener raises."""
        _, files = self._ask("open")
        return os.fdopen(files[0], "wb")

    def close(self) -> None:
        """Let it end: the tap is out of the kernel then. A second call does nothing."""
        self._channel.close()
        pid, self._pid = self._pid, 0
        if pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _ask(self, *request: str) -> tuple[Any, list[int]]:
        try:
            _send(self._channel, list(request))
            answer, files = _receive(self._channel)
        except OSError:
            answer = None
        if answer is None:
            raise OSError(errno.ECONNRESET, "the process that keeps the probes has gone")
        if "number" in answer:
            raise OSError(answer["number"], answer["error"])
        if "error" in answer:
            error = QmisniffError(answer["error"], answer["remedy"])
            error.exit_code = answer["exit"]
            raise error
        return answer["value"], files


class KeptTarget(LocalTarget):
    """This machine, for a process that is not root any more: a keeper does what needs it.

    What anybody may read is read without it.
    """

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper

    def read(self, path: str) -> bytes:
        try:
            return super().read(path)
        except PermissionError:
            content: str = self._keeper.ask("read", path)
            return content.encode("latin-1")

    def exists(self, path: str) -> bool:
        if super().exists(path):
            return True
        try:
            return bool(self._keeper.ask("exists", path))
        except OSError:
            return False  # nothing of the tap's, or nobody to ask

    def write(self, path: str, text: str) -> None:
        self._keeper.ask("write", path, text)

    def append(self, path: str, text: str) -> None:
        self._keeper.ask("append", path, text)

    def list(self, path: str) -> list[str]:
        try:
            return super().list(path)
        except PermissionError:
            names: list[str] = self._keeper.ask("list", path)
            return names

    def remove(self, path: str) -> None:
        self._keeper.ask("remove", path)

    def close(self) -> None:
        self._keeper.close()


def _keep(channel: socket.socket, entrusted: Entrusted, opener: Opener | None) -> NoReturn:
    """The keeper: serve until the other end closes, then clean up. Nothing of the parent's is used or left open."""
    try:
        # What a terminal or a shell does to the capture and all that it has started is not for this process: the end
        # of the capture is what counts.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a service manager may tell every process
        entrusted.release()
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        for file in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if file > 2 and file != channel.fileno():
                with contextlib.suppress(OSError):  # that of the list itself
                    os.close(file)
        target = LocalTarget()
        with contextlib.suppress(Exception):  # a request that makes no sense is an end, too
            while (request := _receive(channel)[0]) is not None:
                answer, stream = _answer(target, entrusted, opener, *request)
                _send(channel, answer, stream)
                if stream is not None:
                    stream.close()
        until = time.monotonic() + _CLEANING_UP
        while not _removed(entrusted) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        os._exit(0)


def _removed(entrusted: Entrusted) -> bool:
    try:
        entrusted.remove()
    except (OSError, QmisniffError):
        return False  # a parent that was killed may not have let go of everything yet
    return True


def _answer(
    target: LocalTarget, entrusted: Entrusted, opener: Opener | None, act: str, path: str = "", text: str = ""
) -> tuple[dict[str, Any], BinaryIO | None]:
    """What a request comes to: the reply, and a file to hand over."""
    try:
        if act == "open" and opener is not None:
            return {"value": None}, opener()
        if not entrusted.allows(act, path, text):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        match act:
            case "read":
                return {"value": target.read(path).decode("latin-1")}, None
            case "list":
                return {"value": target.list(path)}, None
            case "exists":
                return {"value": target.exists(path)}, None
            case "write":
                target.write(path, text)
            case "append":
                target.append(path, text)
            case "remove":
                target.remove(path)
        return {"value": None}, None
    except OSError as error:
        return {"number": error.errno, "error": error.strerror}, None
    except QmisniffError as error:
        return {"error": error.args[0], "remedy": error.remedy, "exit": error.exit_code}, None


def _send(channel: socket.socket, message: object, stream: BinaryIO | None = None) -> None:
    content = json.dumps(message).encode()
    head = _LENGTH.pack(len(content))
    if stream is None:
        channel.sendall(head)
    else:
        socket.send_fds(channel, [head], [stream.fileno()])
    channel.sendall(content)


def _receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """A message and the files that came with it; None at the end of the channel."""
    head, files, _, _ = socket.recv_fds(channel, _LENGTH.size, 1, socket.MSG_WAITALL | socket.MSG_CMSG_CLOEXEC)
    if len(head) < _LENGTH.size:
        return None, []
    (size,) = _LENGTH.unpack(head)
    if size > _LONGEST:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    content = b""
    while len(content) < size:
        piece = channel.recv(size - len(content))
        if not piece:
            return None, []
        content += piece
    return json.loads(content), files
