# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that verbs read."""

from __future__ import annotations

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
