# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that verbs read and write."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from qmisniff.errors import CaptureFileError
from qmisniff.printable import plain


def open_input(name: str) -> BinaryIO:
    """A capture to read, - for standard input; what is neither pcapng nor pcap is read by tshark.

    Raises CaptureFileError where it cannot be opened.
    """
    from qmisniff.readers import recognised

    if name == "-":
        return sys.stdin.buffer
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - handed on
        return recognised(stream, Path(name), say) if stream.seekable() else stream
    except OSError as error:
        raise CaptureFileError(f"{name}: {error.strerror}", "") from None


def say(text: str) -> None:
    """A line on standard error."""
    print(f"qmisniff: {plain(text)}", file=sys.stderr)


def create(path: Path) -> BinaryIO:
    """A new capture file that only its owner can read: captures hold identities. Raises CaptureFileError.

    A file of that name is replaced, not emptied: somebody may be looking at it. Who called sudo is its
    owner.
    """
    from qmisniff.capture.privileges import caller

    user = caller()
    try:
        if path.is_file() and not path.is_symlink():
            path.unlink()
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:  # a fifo, a device, a link: not made by us, so not given away
            return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
        if user is not None:
            os.fchown(file, user.uid, user.gid)
        return os.fdopen(file, "wb")
    except OSError as error:
        raise CaptureFileError(f"{path}: {error.strerror}", "choose another place with -w") from None
