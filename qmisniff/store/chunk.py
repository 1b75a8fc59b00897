# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of frames as columns and one buffer of bytes; no object for each frame.

Written one frame at a time without numpy (live capture, small files), or handed over whole with columns that numpy made
and a part of a file, or bytes made of it, as the buffer (`qmisniff.store.bulk`). Either way a row is read the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import calcsize
from typing import TYPE_CHECKING, Literal

from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin
from qmisniff.store.file_bytes import Span

if TYPE_CHECKING:
    from qmisniff.store.headers import Headers
    from qmisniff.store.tlv_index import TlvIndex

CAPACITY = 32768  # rows; what is worked on at once stays in the processor's cache
MOST_BYTES = 1 << 28  # of all rows of a chunk; one more frame may reach beyond

# One line a column: its name, and its code in memoryview.cast, struct and numpy alike. In chunks of files columns are
# as narrow as their values allow.
COLUMNS: dict[str, Literal["I", "H", "B"]] = {
    "offset": "I",  # where the frame's bytes begin in the buffer
    "length": "I",
    "orig_len": "I",
    "task": "I",  # Names.tasks
    "origin": "I",  # Names.origins
    "cpu": "H",  # 0xffff unknown
    "link": "B",
    "direction": "B",
    "hook": "B",
    "flags": "B",
}
_LINKS = {link.value: link for link in Link}
_HOOKS = {hook.value: hook for hook in Hook}
_DIRECTIONS = {direction.value: direction for direction in Direction}
_FLAGS = {value: Flag(value) for value in range(8)}

Task = tuple[int, str]  # pid, command


class Names:
    """What many frames have in common, each kept once: the columns hold its number."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.origins: list[Origin] = []
        self._tasks: dict[Task, int] = {}
        self._origins: dict[Origin, int] = {}

    def task(self, task: Task) -> int:
        """The number of a process id and command."""
        number = self._tasks.get(task)
        if number is None:
            number = self._tasks[task] = len(self.tasks)
            self.tasks.append(task)
        return number

    def origin(self, origin: Origin) -> int:
        """The number of an origin."""
        number = self._origins.get(origin)
        if number is None:
            number = self._origins[origin] = len(self.origins)
            self.origins.append(origin)
        return number


class Chunk:
    """Up to CAPACITY frames. `lost` holds only the rows that lost something; `buffer` may be replaced by a longer copy
    of itself when a frame is appended, and keeps what it held."""

    def __init__(
        self, columns: Mapping[str, memoryview], buffer: bytearray | bytes | Span, count: int, lost: dict[int, int]
    ) -> None:
        self.columns = columns
        self.buffer = buffer
        self.count = count
        self.lost = lost
        # What qmisniff.store.columns has made of it: headers up to a row, and all TLVs once nothing can be appended;
        # until then, of how many rows TLVs were looked for.
        self.headers: tuple[Headers, int] | None = None
        self.tlvs: TlvIndex | None = None
        self.walked = 0
        self._used = 0
        self._offset = columns["offset"]
        self._length = columns["length"]
        self._orig_len = columns["orig_len"]
        self._task = columns["task"]
        self._origin = columns["origin"]
        self._cpu = columns["cpu"]
        self._link = columns["link"]
        self._direction = columns["direction"]
        self._hook = columns["hook"]
        self._flags = columns["flags"]

    @classmethod
    def empty(cls) -> Chunk:
        """A chunk for `append`."""
        columns = {name: memoryview(bytearray(CAPACITY * calcsize(code))).cast(code) for name, code in COLUMNS.items()}
        return cls(columns, bytearray(1 << 16), 0, {})

    @property
    def full(self) -> bool:
        """Whether no frame can be appended: there is no room, or the bytes came whole."""
        return self.count == CAPACITY or self._used > MOST_BYTES or not isinstance(self.buffer, bytearray)

    def append(self, frame: Frame, names: Names) -> None:
        """Add a frame's bytes and what is known of it."""
        assert isinstance(self.buffer, bytearray)
        row, start, end = self.count, self._used, self._used + len(frame.data)
        if end > len(self.buffer):
            # A bytearray that somebody looks into cannot grow: the new one takes over what is there.
            longer = bytearray(max(end, 2 * len(self.buffer)))
            longer[:start] = memoryview(self.buffer)[:start]
            self.buffer = longer
        self.buffer[start:end] = frame.data
        self._used = end
        self._offset[row] = start
        self._length[row] = len(frame.data)
        self._orig_len[row] = frame.orig_len
        self._task[row] = names.task((frame.pid, frame.comm))
        self._origin[row] = names.origin(frame.origin)
        self._cpu[row] = frame.cpu & 0xFFFF
        self._link[row] = frame.link
        self._direction[row] = frame.direction
        self._hook[row] = frame.hook
        self._flags[row] = frame.flags
        if frame.lost:
            self.lost[row] = frame.lost
        self.count = row + 1

    def frame(self, row: int, ts_ns: int, names: Names) -> Frame:
        """The frame of a row of this chunk."""
        start, length = self._offset[row], self._length[row]
        flags = _FLAGS[self._flags[row]]
        if isinstance(self.buffer, Span):
            data = self.buffer.few(start, length)
            if len(data) < length:
                flags |= Flag.TRUNCATED
        else:
            data = bytes(self.buffer[start : start + length])
        pid, comm = names.tasks[self._task[row]]
        cpu = self._cpu[row]
        return Frame(
            ts_ns,
            data,
            self._orig_len[row],
            _LINKS[self._link[row]],
            _DIRECTIONS[self._direction[row]],
            _HOOKS[self._hook[row]],
            flags,
            pid,
            comm,
            -1 if cpu == 0xFFFF else cpu,
            self.lost.get(row, 0),
            names.origins[self._origin[row]],
        )
