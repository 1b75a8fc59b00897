# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a live capture is on disk: a temporary file from the first packet on, and the file it is saved to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from qmisniff.capture_file import Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame


class Recording:
    """A growing pcapng file in the temporary folder, there for the case that this program does not end as it should."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises CaptureFileError where no temporary file can be made."""
        try:
            descriptor, name = tempfile.mkstemp(f"-{datetime.now():%Y%m%d-%H%M%S}.pcapng", "qmisniff-", folder)
        except OSError as error:
            raise CaptureFileError(f"no temporary file for the capture: {error.strerror}", "set TMPDIR") from None
        self.path = Path(name)
        self.problem = ""
        self._stream = os.fdopen(descriptor, "wb", buffering=1 << 20)
        self._writer = Writer(self._stream)

    def write(self, frames: Iterable[Frame]) -> None:
        """Append frames. A full disk ends the recording, not the capture: `problem` says so."""
        if not self.problem:
            try:
                self._writer.write(frames)
            except OSError as error:
                self.problem = f"not recorded any more in {self.path}: {error.strerror}"

    def close(self, lost: int) -> None:
        """End the file, with the number of packets lost."""
        try:
            if not self.problem:
                self._writer.close(lost)
            self._stream.close()
        except OSError as error:
            self.problem = self.problem or f"the end is not recorded in {self.path}: {error.strerror}"

    def discard(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
