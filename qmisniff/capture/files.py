# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that a capture is written to: one, or one after the other, each of which can be read alone."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from qmisniff.capture import ending
from qmisniff.capture.limits import NO_LIMITS, Limits
from qmisniff.capture.privileges import caller
from qmisniff.capture.services import Services
from qmisniff.capture_file import Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame

_PULSE = 1.0  # seconds after which a pipe in which nothing went is given an empty block


def create(path: Path) -> BinaryIO:
    """A new capture file that only its owner can read: captures hold identities. Raises CaptureFileError.

    A file of that name is replaced, not emptied: somebody may be looking at it. Who called sudo is its owner.
    """
    try:
        if path.is_file() and not path.is_symlink():
            path.unlink()
        try:
            return _new(path)
        except FileExistsError:
            return _existing(path)
    except OSError as error:
        raise _not_created(path, error) from None


def _new(path: Path | str, folder: int | None = None) -> BinaryIO:
    """A file that was not there, in an open folder. Raises OSError."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    if (user := caller()) is not None:
        os.fchown(file, user.uid, user.gid)
    return open(path, "wb", opener=lambda name, flags: file)


def _existing(path: Path) -> BinaryIO:
    """A fifo, a device, what a link leads to: not made by us, so not given away. Raises OSError.

    Root uses nothing that others have put there: a link may lead to any file, and whoever reads a fifo gets it all.
    """
    status, user = path.lstat(), caller()
    if not os.geteuid() and status.st_uid not in (0, user.uid if user is not None else 0):
        raise PermissionError(errno.EPERM, f"belongs to user {status.st_uid}, and is no file")
    # Behind a link there may be nothing yet. To "create" the caller's fifo in /tmp is what the kernel keeps root from.
    how = os.O_CREAT if stat.S_ISLNK(status.st_mode) else os.O_NOFOLLOW
    with ending.wait():  # a fifo is open once somebody reads it
        return os.fdopen(os.open(path, how | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def _not_created(path: Path, error: OSError) -> CaptureFileError:
    return CaptureFileError(f"{path}: {error.strerror}", "choose another place with -w")


class NumberedFiles:
    """Opens `name_NNNNN_YYYYMMDDHHMMSS.suffix`, dumpcap's names, a further one at each call; the last `keep` stay.

    It may be root who calls, for a process that is not: nothing is opened but what is made here, and that in the folder
    of the first file and in no other that somebody has put in its place.
    """

    def __init__(self, path: Path, keep: int | None = None) -> None:
        self._path = path
        self._kept: deque[str] = deque()
        self._keep = keep
        self._number = 0
        self._folder: tuple[int, int] | None = None  # device and inode

    def __call__(self) -> BinaryIO:
        """The next file. Raises CaptureFileError."""
        self._number = self._number % 99_999 + 1
        name = f"{self._path.stem}_{self._number:05}_{datetime.now():%Y%m%d%H%M%S}{self._path.suffix}"
        try:
            folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return self._make(name, folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _not_created(self._path.with_name(name), error) from None

    def _make(self, name: str, folder: int) -> BinaryIO:
        status = os.fstat(folder)
        where = status.st_dev, status.st_ino
        if self._folder not in (None, where):
            raise OSError(errno.ESTALE, "the folder is not the one of the first file any more")
        self._folder = where
        if len(self._kept) == self._keep:
            # First, so that there are never more of them. One that somebody has moved away is not ours any more.
            with contextlib.suppress(OSError):
                os.unlink(self._kept.popleft(), dir_fd=folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)  # of an earlier capture in the same second
        stream = _new(name, folder)
        if self._keep is not None:
            self._kept.append(name)
        return stream


class CaptureFiles:
    """Frames into a file until `stop`, or into file after file, going on at `switch`.

    `opener` opens the (next) file. A further file begins with the services that are known by then, as synthetic
    packets. Methods raise CaptureFileError where a file cannot be written (it is closed then, and the packets in it are
    whole), BrokenPipeError where nobody reads it, and what `opener` raises.
    """

    def __init__(self, opener: Callable[[], BinaryIO], stop: Limits = NO_LIMITS, switch: Limits | None = None) -> None:
        self.opener = opener
        self.written = 0  # packets, announcements that are written again not counted
        self._stop = stop
        self._switch = switch
        if switch is not None and switch.kilobytes is None:
            self._switch = switch._replace(kilobytes=stop.kilobytes)  # as dumpcap takes it
        self._services = Services()
        self._stream: BinaryIO | None = None
        self._writer: Writer | None = None
        self._here = 0  # packets in this file
        self._before = 0  # files before this one
        self._told = 0  # packets lost, as the files before this one say
        self._full = False
        self._ends = float("inf")  # time.monotonic() when the capture has lasted long enough
        self._turns = float("inf")  # the same of this file
        self._interval = float("inf")  # time.time() at which it is time for the next file
        self._last_ns = 0
        self._spoke = 0.0

    @property
    def several(self) -> bool:
        """Whether `opener` may be asked for a further file."""
        return self._switch is not None

    def open(self) -> None:
        """Begin with the first file."""
        if self._stop.seconds is not None:
            self._ends = time.monotonic() + self._stop.seconds
        with self._writing():
            self._open()

    @property
    def done(self) -> bool:
        """Whether the capture should end: a limit is reached, or nobody can read any more what is written."""
        return self._full or time.monotonic() >= self._ends or self._deserted()

    def write(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Append frames, or none to let the time be looked at; returns those that were taken before a limit."""
        if self._full:
            return frames[:0]
        taken = 0
        with self._writing():
            if self._switch is not None and (time.monotonic() >= self._turns or time.time() >= self._interval):
                self._next()
            for frame in frames:
                if self._full:
                    break
                self._add(frame)
                taken += 1
            if self._writer is not None:
                self._flush(self._writer, taken)
        return frames[:taken]

    def close(self, lost: int, comment: str = "") -> None:
        """End the last file; `lost` packets are missing from all files together, `comment` says more of that."""
        if self._writer is None or self._stream is None:
            return
        with self._writing():
            self._writer.close(max(lost - self._told, 0), comment)
        stream, self._writer, self._stream = self._stream, None, None
        stream.close()

    def _add(self, frame: Frame) -> None:
        assert self._writer is not None
        self.written += 1
        self._writer.add(frame)
        self._here += 1
        self._last_ns = frame.ts_ns
        if self._switch is not None:
            self._services.learn([frame])
        if self.written == self._stop.packets:
            self._full = True
        elif self._switch is None:
            self._full = self._stop.kilobytes is not None and self._writer.size >= self._stop.kilobytes * 1000
        elif self._here == self._switch.packets or (
            self._switch.kilobytes is not None and self._writer.size >= self._switch.kilobytes * 1000
        ):
            self._next()

    def _flush(self, writer: Writer, fresh: int) -> None:
        if fresh:
            writer.flush()
            self._spoke = time.monotonic()
        elif time.monotonic() >= self._spoke + _PULSE and self._is_pipe():
            # A program in between, such as ssh, only finds out that its reader has gone when something comes.
            writer.pulse()
            self._spoke = time.monotonic()

    def _open(self) -> None:
        self._stream = self.opener()
        self._writer = writer = Writer(self._stream)
        for frame in self._services.again(self._last_ns):
            writer.add(frame)
        writer.flush()
        self._here = 0
        self._spoke = time.monotonic()
        if self._switch is not None:
            if self._switch.seconds is not None:
                self._turns = time.monotonic() + self._switch.seconds
            if self._switch.interval is not None:
                self._interval = (time.time() // self._switch.interval + 1) * self._switch.interval

    def _next(self) -> None:
        """Go on in another file, or end where this was the last."""
        assert self._writer is not None
        told = self._writer.lost
        self.close(self._told + told)
        self._told += told
        self._before += 1
        if self._before == self._stop.files:
            self._full = True
            return
        self._open()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Where a file cannot be written any further, close it with the last whole packet as its end."""
        try:
            yield
        except OSError as error:
            writer, stream, self._writer, self._stream = self._writer, self._stream, None, None
            if stream is not None:
                self._end_whole(writer, stream)
            if isinstance(error, BrokenPipeError):
                raise
            raise CaptureFileError(
                f"the capture cannot be written: {error.strerror}", "what was written until then can be read"
            ) from None

    def _end_whole(self, writer: Writer | None, stream: BinaryIO) -> None:
        with contextlib.suppress(OSError, ValueError):
            file = os.dup(stream.fileno())
            try:
                with contextlib.suppress(OSError):
                    stream.close()  # it tries once more to write what it holds
                if writer is not None and stat.S_ISREG(os.fstat(file).st_mode):
                    end, without = writer.whole(os.fstat(file).st_size)
                    os.ftruncate(file, end)
                    self.written -= without
            finally:
                os.close(file)

    def _is_pipe(self) -> bool:
        try:
            mode = os.fstat(self._stream.fileno()).st_mode if self._stream is not None else 0
        except (OSError, ValueError):
            return False  # not a file of the system's
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

    def _deserted(self) -> bool:
        return self._stream is not None and deserted(self._stream)


def deserted(stream: BinaryIO) -> bool:
    """Whether nobody can read what is written: a pipe whose other end is closed says so without a write."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False  # not a file of the system's: nobody can close its other end
