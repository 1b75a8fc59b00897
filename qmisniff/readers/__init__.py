# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are neither pcapng nor pcap, read by programs that know them and handed on as pcapng."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_KNOWN = (
    *(b"\n\r\r\n", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"),
    *(b"\x1f\x8b", b"\x28\xb5\x2f\xfd"),  # packed by gzip or zstd
)
_MAGIC = 4  # bytes


def recognised(stream: BinaryIO, path: Path, say: Callable[[str], None]) -> BinaryIO:
    """The open file itself where it begins as a capture that qmisniff reads, else what tshark makes of it as pcapng.

    `say` is told when tshark has read it. Raises CaptureFileError where tshark is not there, or cannot read it either.
    """
    start = stream.read(_MAGIC)
    stream.seek(0)
    if not start or start.startswith(_KNOWN):
        return stream
    from qmisniff.readers.foreign import as_pcapng

    with stream:
        return as_pcapng(path, say)
