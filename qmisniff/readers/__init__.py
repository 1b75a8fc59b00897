# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are not as they stand pcapng or pcap: compressed ones, and formats that only other programs know."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_PCAPNG_OR_NANOSECONDS = (b"\n\r\r\n", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
_PCAP = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}

# Two other programs wrote the same magic number, but longer headers of records (Wireshark's wiretap/libpcap.c):
# Nokia's tcpdump by one word, that of RedHat 6.1 by two.
_PCAP_HEADER, _RECORD_HEADER, _LONGER = 24, 16, (20, 24)
_MICROSECONDS = 1_000_000
_ENOUGH = 8  # records whose headers look right

_LOOK = 1 << 16  # bytes


def recognised(stream: BinaryIO, path: Path, say: Callable[[str], None]) -> BinaryIO:
    """The open file itself where it is, or is packed of, a capture that qmisniff reads; else what tshark makes of it.

    `say` is told when tshark has read it. Raises CaptureFileError where tshark is not there, or cannot read it either.
    """
    from qmisniff.readers.compressed import beginning

    start = beginning(stream, path.name, _LOOK)
    if not start or start.startswith(_PCAPNG_OR_NANOSECONDS) or _is_pcap(start):
        return stream
    from qmisniff.readers.foreign import as_pcapng

    with stream:
        return as_pcapng(path, say)


def _is_pcap(start: bytes) -> bool:
    order = _PCAP.get(start[:4])
    if order is None:
        return False
    usual = _looking_right(start, order, _RECORD_HEADER)
    return usual == _ENOUGH or all(_looking_right(start, order, size) < _ENOUGH for size in _LONGER)


def _looking_right(start: bytes, order: str, size: int) -> int:
    """How many records look right if their headers have so many bytes; enough where they end with the file."""
    head, at = struct.Struct(order + "4xIII"), _PCAP_HEADER
    for count in range(_ENOUGH):
        if at == len(start):
            break
        if at + size > len(start):
            return _ENOUGH if len(start) == _LOOK else count
        fraction, captured, original = head.unpack_from(start, at)
        if fraction >= _MICROSECONDS or captured > original:
            return count
        at += size + captured
    return _ENOUGH
