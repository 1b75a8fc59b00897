# SPDX-License-Identifier: GPL-2.0-or-later
"""Compressed captures (gzip, zstd): files are expanded once into a temporary file that nobody else sees, pipes as they
are read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

from qmisniff.errors import CaptureFileError
from qmisniff.readers.converted import Converted

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20
# Captures shrink to a tenth or so. What grows more than this from a small file was made to fill a disk.
_FREE = 1 << 30
_MOST_TIMES = 100
_DAMAGE = (EOFError, zlib.error, OSError)


class Expanded(NamedTuple):
    """A file to read, and what is wrong with the one it was made of, "" where nothing is."""

    stream: BinaryIO
    damage: str


def expand(stream: BinaryIO, name: str) -> Expanded:
    """The stream itself, or its content where it is compressed. Raises CaptureFileError for one that grows beyond all
    measure, and for zstd where Python cannot read it."""
    if isinstance(stream, Converted):
        return Expanded(stream, stream.damage)
    start = stream.read(4)
    stream.seek(0)
    if not _is_compressed(start):
        return Expanded(stream, "")
    import tempfile  # what it brings is most of what reading a small file would import

    source = Expanding(stream, start, name)
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - handed on
    try:
        while piece := source.read(_PIECE):
            file.write(piece)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Expanded(file, source.damage)


def beginning(stream: BinaryIO, name: str, size: int) -> bytes:
    """Up to so many bytes that the content of a stream begins with; the stream stands at its own beginning again.

    Raises CaptureFileError as `expand` does.
    """
    start = stream.read(4)
    stream.seek(0)
    content = io.BufferedReader(Expanding(stream, start, name)) if _is_compressed(start) else stream
    data = content.read(size)
    stream.seek(0)
    return data


def expand_pipe(stream: BinaryIO, name: str) -> Expanding | None:
    """The content of a stream that cannot seek, expanded as it is read; None where it is not compressed."""
    start = stream.peek(4)[:4] if isinstance(stream, io.BufferedReader) else b""
    return Expanding(stream, start, name) if _is_compressed(start) else None


def _is_compressed(start: bytes) -> bool:
    return start[:2] == _GZIP or start == _ZSTD


class Expanding(io.RawIOBase):
    """The content of a compressed stream that begins with `start`. It ends where the stream is damaged; `damage` says
    why. Reading raises CaptureFileError once the content has grown beyond all measure."""

    def __init__(self, stream: BinaryIO, start: bytes, name: str) -> None:
        self.damage = ""
        self._name = name
        self._taken = _Taken(stream)
        self._size = 0
        self._pieces = _gzip(self._taken) if start[:2] == _GZIP else _zstd(self._taken, name)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(self._next())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _next(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except _DAMAGE as error:
            self.damage = f"{self._name}: the compressed data is damaged near offset {self._taken.count}: {error}"
            return b""
        self._size += len(piece)
        limit = max(_FREE, _MOST_TIMES * self._taken.count)
        if self._size > limit:
            raise CaptureFileError(
                f"{self._name}: at offset {self._taken.count} it has grown to over {limit >> 20} MiB",
                "unpack it by hand if it is to be trusted",
            )
        return piece


class _Taken:
    """A stream, and how many bytes have been read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read1(size) if isinstance(self._stream, io.BufferedReader) else self._stream.read(size)
        self.count += len(data)
        return data


def _gzip(stream: Any) -> Iterator[bytes]:
    import gzip

    with gzip.GzipFile(fileobj=stream) as file:
        # Piece by piece as it comes: a read that waits for more would lose what came before the damage.
        while piece := file.read1(_PIECE):
            yield piece


def _zstd(stream: Any, name: str) -> Iterator[bytes]:
    module = _zstd_module()
    if module is None:
        raise CaptureFileError(
            f"{name}: this Python cannot read zstd", "pip install backports.zstd, or unpack it first"
        )
    with module.ZstdFile(stream) as file:
        try:
            while piece := file.read1(_PIECE):
                yield piece
        except module.ZstdError as error:
            raise OSError(error) from None


def _zstd_module() -> Any:
    """Python's own module from 3.14 on, or the same for older ones."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None
