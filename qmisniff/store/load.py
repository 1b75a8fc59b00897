# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files into a store: in bulk where they are large, frame by frame where they are small.

Importing numpy takes longer than reading some thousand frames one by one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from qmisniff.capture_file import Reader
from qmisniff.readers.compressed import expand, expand_pipe
from qmisniff.store import Store
from qmisniff.store.file_bytes import FileBytes

_SMALL = 3 << 20  # bytes, about 20 thousand messages
_BATCH = 500  # frames


class Loader:
    """Brings the frames of an open file into a store. Raises CaptureFileError at once where it is no capture.

    `dropped` is that of capture_file.Reader, `lost` what the frames said; complete when the loading has ended. The
    stream must be able to seek; a pipe is for PipeReader.
    """

    def __init__(self, stream: BinaryIO, name: str = "capture", small: int = _SMALL) -> None:
        self.lost = 0
        stream, self._damage = expand(stream, name)
        self._reader = Reader(stream, name)
        self._name = name
        self._file = FileBytes(stream) if os.fstat(stream.fileno()).st_size > small else None

    @property
    def damage(self) -> str:
        """Empty, or one line on what is wrong with the file; everything before it has been loaded."""
        gone = self._file.gone if self._file is not None else 0
        shorter = f"{self._name}: {gone} bytes at its end were cut off while it was open" if gone else ""
        return self._damage or self._reader.damage or shorter

    @property
    def dropped(self) -> int:
        """Packets lost, as the file's last statistics block counts them."""
        return self._reader.dropped

    def into(self, store: Store) -> Iterator[int]:
        """Append the frames to the store, some at a time; yields how many rows it has now."""
        if self._file is not None and not len(store):
            from qmisniff.store.bulk import load

            for lost in load(self._file, self._reader.records, store):
                self.lost += lost
                yield len(store)
            return
        frames = iter(self._reader)
        while batch := list(islice(frames, _BATCH)):
            self.lost += sum(frame.lost for frame in batch)
            store.extend(batch)
            yield len(store)


class PipeReader(Reader):
    """A capture_file.Reader of a stream that cannot seek and may be compressed."""

    def __init__(self, stream: BinaryIO, name: str = "capture") -> None:
        self._expanding = expand_pipe(stream, name)
        super().__init__(stream if self._expanding is None else io.BufferedReader(self._expanding), name)

    @property
    def damage(self) -> str:
        """Empty, or what is wrong with the stream; complete once the iteration has ended."""
        return (self._expanding.damage if self._expanding is not None else "") or super().damage
