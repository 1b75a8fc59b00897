# SPDX-License-Identifier: GPL-2.0-or-later
"""The system that is tapped, as files: everything the kernel tap asks of it goes through a Target.

LocalTarget is this machine. Nothing else in the tap opens a file, so that another Target can reach another machine.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from qmisniff.capture.lookup import Lookup, ServiceLookup


class Batch(NamedTuple):
    """Pages as (cpu, page), each CPU's in order; `drained` unless more was there than one read takes."""

    pages: list[tuple[int, bytes]]
    drained: bool


class Change(NamedTuple):
    """A line of text for a file: appended to it, or in place of what is there."""

    path: str
    text: str
    append: bool = False


class Refused(OSError):
    """The first of several changes that could not be made: which it was (`at`), and why. Those before it are made."""

    def __init__(self, at: int, reason: OSError) -> None:
        super().__init__(reason.errno, reason.strerror, reason.filename)
        self.at = at


class Process(NamedTuple):
    """A process with more than one thread, and what it calls itself."""

    pid: int
    name: str
    threads: Sequence[int]


class Pages(Protocol):
    """Open trace_pipe_raw files, one a CPU."""

    def wait(self, timeout: float) -> bool:
        """Whether something can be read, after at most `timeout` seconds."""

    def read(self) -> Batch:
        """The pages there are now. Raises OSError when the pipes are dead."""

    def close(self) -> None:
        """Let go of the files. A second call does nothing."""


class Target(Protocol):
    """Files of the tapped system by absolute path. Every method raises OSError as the system calls it is made of.

    `become_root` says how to get there with the rights that are needed.
    """

    become_root: str

    def read(self, path: str) -> bytes:
        """A whole file."""

    def lines(self, path: str, word: bytes) -> list[bytes]:
        """The lines of a file that contain `word`."""

    def write(self, path: str, text: str) -> None:
        """Overwrite a file, in one write."""

    def append(self, path: str, text: str) -> None:
        """Append to a file, in one write: what adds to tracefs' lists instead of replacing them."""

    def change(self, changes: Sequence[Change]) -> None:
        """Make many changes, in this order, each in one write. Raises Refused."""

    def read_all(self, paths: Sequence[str]) -> Sequence[bytes]:
        """Many files of text."""

    def list(self, path: str) -> list[str]:
        """The names in a directory, sorted; an absent directory is empty."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file. One that may not be looked at counts as absent."""

    def make(self, path: str) -> None:
        """Make a directory."""

    def remove(self, path: str) -> None:
        """Remove a directory."""

    def mount_tracefs(self, path: str) -> None:
        """Mount the trace file system."""

    def is_root(self) -> bool:
        """Whether files are accessed as root."""

    def system(self) -> tuple[str, str]:
        """Kernel release and processor, as `uname -r` and `uname -m`."""

    def owner(self) -> str:
        """A name for the process that holds the tap: `PID_STARTTIME`, unique until the next boot."""

    def clock(self) -> int:
        """CLOCK_BOOTTIME now, in nanoseconds: the trace clock `boot`, which goes on while a phone sleeps."""

    def wall_clock_offset(self) -> int:
        """What to add to `clock` to get the time since 1970, in nanoseconds."""

    def pages(self, files: Mapping[int, str], page_size: int) -> Pages:
        """Open the trace_pipe_raw files in `files`, by CPU."""

    def processes(self) -> Iterable[Process]:
        """The processes with several threads that run now; those that vanish meanwhile are left out."""

    def lookup(self) -> Lookup:
        """Begin to ask its name service which services there are."""

    def close(self) -> None:
        """Let go of it. A second call does nothing."""


def start_time(stat: bytes) -> str:
    """When a process started, in ticks since boot, from its /proc/PID/stat; "" where it cannot be read.

    The command may contain spaces and parentheses: fields are counted from the last parenthesis.
    """
    fields = stat.rpartition(b")")[2].split()
    return fields[19].decode("ascii", "replace") if len(fields) > 19 else ""


class LocalTarget:
    """This machine, or a directory tree that looks like one (`root`)."""

    become_root = "run qmisniff with sudo"

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)

    def _path(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def lines(self, path: str, word: bytes) -> list[bytes]:
        found: list[bytes] = []
        rest = b""
        with self._path(path).open("rb", buffering=0) as file:
            # In large pieces: kallsyms has 200,000 lines of which a dozen are wanted.
            while piece := file.read(1 << 20):
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                if newline and word in whole:
                    found += [line for line in whole.split(b"\n") if word in line]
        return [*found, rest] if word in rest else found

    def write(self, path: str, text: str) -> None:
        self._put(path, text, os.O_TRUNC)

    def append(self, path: str, text: str) -> None:
        self._put(path, text, os.O_APPEND)

    def change(self, changes: Sequence[Change]) -> None:
        for at, (path, text, append) in enumerate(changes):
            try:
                (self.append if append else self.write)(path, text)
            except OSError as error:
                raise Refused(at, error) from None

    def read_all(self, paths: Sequence[str]) -> Sequence[bytes]:
        return [self.read(path) for path in paths]

    def _put(self, path: str, text: str, how: int) -> None:
        # Not Path.open("a"): that seeks, and tracefs' lists refuse to.
        file = os.open(self._path(path), os.O_WRONLY | os.O_CLOEXEC | how)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)

    def list(self, path: str) -> list[str]:
        try:
            return sorted(entry.name for entry in self._path(path).iterdir())
        except FileNotFoundError:
            return []

    def exists(self, path: str) -> bool:
        try:
            return self._path(path).exists()
        except OSError:
            return False

    def make(self, path: str) -> None:
        self._path(path).mkdir()

    def remove(self, path: str) -> None:
        self._path(path).rmdir()

    def mount_tracefs(self, path: str) -> None:
        import ctypes  # not every phone's Python has it

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tracefs", os.fsencode(self._path(path)), b"tracefs", 0, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def system(self) -> tuple[str, str]:
        uname = os.uname()
        return uname.release, uname.machine

    def owner(self) -> str:
        return f"{os.getpid()}_{start_time(Path('/proc/self/stat').read_bytes())}"

    def clock(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_clock_offset(self) -> int:
        # The narrowest of a few brackets: the clocks cannot be read at once.
        brackets = []
        for _ in range(5):
            before = self.clock()
            wall = time.time_ns()
            after = self.clock()
            brackets.append((after - before, wall - (before + after) // 2))
        return min(brackets)[1]

    def pages(self, files: Mapping[int, str], page_size: int) -> Pages:
        return LocalPages({cpu: self._path(path) for cpu, path in files.items()}, page_size)

    def processes(self) -> Iterator[Process]:
        for name in self.list("/proc"):
            if not name.isdigit():
                continue
            try:
                threads = self.list(f"/proc/{name}/task")
                if len(threads) < 2:
                    continue
                comm = self.read(f"/proc/{name}/comm").decode("utf-8", "backslashreplace").rstrip("\n")
            except OSError:
                continue
            yield Process(int(name), comm, [int(thread) for thread in threads if thread.isdigit()])

    def lookup(self) -> Lookup:
        return ServiceLookup()

    def close(self) -> None:
        pass


class LocalPages:
    """trace_pipe_raw files read without blocking."""

    # A read ends after this many pages of a CPU: under a flood it must not go on for ever.
    _MOST = 512

    def __init__(self, files: Mapping[int, Path], page_size: int) -> None:
        self._size = page_size
        self._files: dict[int, int] = {}
        self._asleep: set[int] = set()  # CPUs that were off at the start: they have no buffer before they are on
        self._poll = select.poll()
        try:
            for cpu, path in files.items():
                self._files[cpu] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._poll.register(self._files[cpu], select.POLLIN)
        except OSError:
            self.close()
            raise

    def wait(self, timeout: float) -> bool:
        return bool(self._poll.poll(timeout * 1000))

    def read(self) -> Batch:
        pages: list[tuple[int, bytes]] = []
        drained = True
        for cpu, file in self._files.items():
            for _ in range(self._MOST):
                page = self._page(cpu, file)
                if not page:
                    break
                pages.append((cpu, page))
            else:
                drained = False
        return Batch(pages, drained)

    def _page(self, cpu: int, file: int) -> bytes:
        """The next page of a CPU; b"" where there is none now."""
        page = b""
        try:
            page = os.read(file, self._size)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            if cpu not in self._asleep:
                self._asleep.add(cpu)
                self._poll.unregister(file)  # it would say at once, and for ever, that there is an error
            return b""
        if cpu in self._asleep:
            self._asleep.remove(cpu)
            self._poll.register(file, select.POLLIN)
        return page

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files.clear()
