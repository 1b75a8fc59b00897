# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of a capture file that other programs may lengthen, or cut short, while it is open.

A mapped page that its file no longer has kills the process. Bytes are therefore copied out wherever that costs nothing,
and a mapping is touched only right after the file was seen to be long enough; a program that cuts the file within the
thousandth of a second that follows is the one case left.
"""

from __future__ import annotations

import mmap
import os
import weakref
from typing import BinaryIO, NamedTuple

_RESIDENT = 1 << 24  # bytes of parts after which the pages of a mapping are given back: the kernel has them still


class FileBytes:
    """A file open for reading; the stream it comes from may be closed. `gone` is how many bytes it has lost since."""

    def __init__(self, stream: BinaryIO) -> None:
        self._descriptor = os.dup(stream.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._mapped: mmap.mmap | None = None
        self._touched = 0
        self._windows: tuple[tuple[int, bytes], ...] = ()
        self._longest = self.size()
        self.gone = 0

    def size(self) -> int:
        """Bytes that it has now."""
        return os.fstat(self._descriptor).st_size

    def window(self, start: int, size: int) -> bytes:
        """A copy of up to `size` bytes from `start` on, fewer at the end of the file. The last two are kept: who works
        through a file in windows is given parts of them."""
        data = os.pread(self._descriptor, size, start)
        self._windows = *self._windows[-1:], (start, data)
        return data

    def forget(self) -> None:
        """Nobody works through the file any more: no window is kept."""
        self._windows = ()

    def few(self, start: int, size: int) -> bytes:
        """A copy of so many bytes, fewer where the file has lost them."""
        data = os.pread(self._descriptor, size, start)
        if len(data) < size:
            self._lost()
        return data

    def part(self, start: int, size: int) -> memoryview:
        """So many bytes, not copied; what the file has lost is zero. Not to be kept for long."""
        for at, window in self._windows:
            if at <= start and start + size <= at + len(window):
                return memoryview(window)[start - at : start - at + size]
        if self.size() < start + size:
            return memoryview(self.few(start, size).ljust(size, b"\0"))
        mapped = self._mapped
        if mapped is None or len(mapped) < start + size:
            mapped = self._mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self._touched += size
        if self._touched > _RESIDENT:
            mapped.madvise(mmap.MADV_DONTNEED)
            self._touched = size
        return memoryview(mapped)[start : start + size]

    def _lost(self) -> None:
        self.gone = max(self.gone, self._longest - self.size())


class Span(NamedTuple):
    """A part of a file."""

    file: FileBytes
    start: int
    size: int

    def few(self, start: int, size: int) -> bytes:
        """A copy of `size` bytes, `start` bytes into the part."""
        return self.file.few(self.start + start, size)

    def all(self) -> memoryview:
        """All of it, as FileBytes.part says."""
        return self.file.part(self.start, self.size)
