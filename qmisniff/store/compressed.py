# SPDX-License-Identifier: GPL-2.0-or-later
"""Compressed capture files (gzip, zstd), expanded once into a temporary file that nobody else sees."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

from qmisniff.errors import CaptureFileError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20
# Captures shrink to a tenth or so. What grows more than this from a small file was made to fill a disk.
_FREE = 1 << 30
_MOST_TIMES = 100
_DAMAGE = (EOFError, zlib.error, OSError)


class Expanded(NamedTuple):
    """A file to read, and what is wrong with the compressed one it came from, "" where nothing is."""

    stream: BinaryIO
    damage: str


def expand(stream: BinaryIO, name: str) -> Expanded:
    """The stream itself, or its content where it is compressed. Raises CaptureFileError for one that grows beyond all
    measure, and for zstd where Python cannot read it."""
    start = stream.read(4)
    stream.seek(0)
    if start[:2] == _GZIP:
        pieces = _gzip(stream)
    elif start == _ZSTD:
        pieces = _zstd(stream, name)
    else:
        return Expanded(stream, "")
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - handed on
    damage = ""
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            limit = max(_FREE, _MOST_TIMES * stream.tell())
            if size > limit:
                raise CaptureFileError(
                    f"{name}: at offset {stream.tell()} it has grown to over {limit >> 20} MiB",
                    "unpack it by hand if it is to be trusted",
                )
            file.write(piece)
    except CaptureFileError:
        file.close()
        raise
    except _DAMAGE as error:
        damage = f"{name}: the compressed data is damaged near offset {stream.tell()}: {error}"
    file.seek(0)
    return Expanded(file, damage)


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    import gzip

    with gzip.GzipFile(fileobj=stream) as file:
        # Piece by piece as it comes: a read that waits for more would lose what came before the damage.
        while piece := file.read1(_PIECE):
            yield piece


def _zstd(stream: BinaryIO, name: str) -> Iterator[bytes]:
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
