# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that verbs read and write."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from qmisniff.errors import CaptureFileError


def open_input(name: str) -> BinaryIO:
    """A file to read, - for standard input. Raises CaptureFileError where it cannot be opened."""
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise CaptureFileError(f"{name}: {error.strerror}", "") from None


def create(path: Path) -> BinaryIO:
    """A new capture file that only its owner can read: captures hold identities. Raises CaptureFileError.

    A file of that name is replaced, not emptied: somebody may be looking at it.
    """
    try:
        if path.is_file() and not path.is_symlink():
            path.unlink()
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise CaptureFileError(f"{path}: {error.strerror}", "choose another place with -w") from None
