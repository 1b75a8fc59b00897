# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as people paste them: hexadecimal text in any common notation -> bytes, and what kind of packet it is."""

from __future__ import annotations

import re

from qmisniff.errors import UsageError
from qmisniff.frame import Link

# One byte or more: 0x1f and \x1f, or bare pairs of digits. Between them stand spaces, commas, colons, dashes, braces.
_TOKEN = re.compile(r"(?:0x|\\x)([0-9a-f]{1,2})(?![0-9a-f])|((?:[0-9a-f]{2})+)(?![0-9a-f])", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,:;{}\[\]()\"'.|-]*")
# `0010: 01 02 ..  ascii`, as xxd, hexdump -C and tshark -x print: offset, bytes, two spaces, the same as text.
_DUMP = re.compile(
    r"^\s*[0-9a-f]{4,8}:? {1,2}((?:[0-9a-f]{2,4} {1,2}){0,15}[0-9a-f]{2,4})(?:\s{2,}.*)?$", re.IGNORECASE
)


def parse_hex(text: str) -> bytes:
    """The bytes of one packet. Raises UsageError with the place where the text stops being hexadecimal."""
    dumped = [_DUMP.match(line) for line in text.splitlines() if line.strip()]
    if len(dumped) > 1 and all(dumped):
        text = " ".join(match[1] for match in dumped if match)
    data = bytearray()
    at = _skip(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UsageError(f"not hexadecimal at character {at + 1}: {text[at : at + 20]!r}", "bytes such as 01 0c 00")
        data += bytes([int(match[1], 16)]) if match[1] else bytes.fromhex(match[2])
        at = _skip(text, match.end())
    return bytes(data)


def _skip(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


def guess_link(data: bytes) -> Link | None:
    """What the bytes are by their own headers, None where no header fits."""
    if len(data) >= 7 and data[0] in (1, 2) and int.from_bytes(data[1:3], "little") == len(data) - 1:
        return Link.QMUX
    if len(data) >= 12 and data[:4] in (b"\x03\0\0\0", b"\x03\0\0\x80", b"\x07\0\0\x80"):
        return Link.MBIM
    if (len(data) >= 32 and data[:4] == b"\x01\0\0\0") or (len(data) >= 16 and data[0] == 3):
        return Link.QRTR
    return None
