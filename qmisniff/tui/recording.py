# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a live capture is on disk: the file that the user named, or a temporary one until the capture is saved."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from qmisniff.capture.files import create
from qmisniff.capture_file import Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame


class Recording:
    """A growing pcapng file that the user named; `error` says why not all of the capture is in it.

    It is made when its source gives the first batch, if only an empty one: what cannot capture must not take the place
    of an earlier capture.
    """

    def __init__(self, path: Path) -> None:
        """Raises CaptureFileError where it can be known by now that no file can be made."""
        self.path = path
        self.error: CaptureFileError | None = None
        self._stream: BinaryIO | None = None
        self._writer: Writer | None = None
        self._written = 0
        try:
            if not path.exists():
                tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise CaptureFileError(f"{path}: {error.strerror}", "choose another place with -w") from None

    @property
    def kept(self) -> int:
        """How many packets, from the first on, are where the user wants them."""
        return self._written

    def write(self, frames: Sequence[Frame]) -> None:
        """Append frames. A full disk ends the recording, not the capture.

        Raises CaptureFileError the first time where the file cannot be made.
        """
        if self.error is not None:
            return
        try:
            if self._writer is None:
                self._stream = self._make()
                self._writer = Writer(self._stream)
            self._writer.write(frames)
            self._written += len(frames)
        except OSError as error:
            self.error = CaptureFileError(f"not recorded any more in {self.path}: {error.strerror}")

    def close(self, lost: int) -> None:
        """End the file, with the number of packets lost."""
        if self._stream is None or self._writer is None:
            return
        try:
            if self.error is None:
                self._writer.close(lost)
            self._stream.close()
        except OSError as error:
            self.error = self.error or CaptureFileError(f"the end is not recorded in {self.path}: {error.strerror}")

    def discard(self) -> None:
        """Called when all packets are where the user wants them, or wanted nowhere."""

    def _make(self) -> BinaryIO:
        return create(self.path)


class TemporaryRecording(Recording):
    """A file that nobody named, there for the case that this program does not end as it should."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises CaptureFileError where no temporary file can be made."""
        try:
            self._descriptor, name = tempfile.mkstemp(f"-{datetime.now():%Y%m%d-%H%M%S}.pcapng", "qmisniff-", folder)
        except OSError as error:
            raise CaptureFileError(f"no temporary file for the capture: {error.strerror}", "set TMPDIR") from None
        super().__init__(Path(name))
        self.write(())

    @property
    def kept(self) -> int:
        """None: nobody knows of the file."""
        return 0

    def discard(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)

    def _make(self) -> BinaryIO:
        return os.fdopen(self._descriptor, "wb", buffering=1 << 20)
