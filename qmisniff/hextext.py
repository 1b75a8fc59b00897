# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as people paste them: hexadecimal text in any common notation -> bytes, and what kind of packet it is."""

from __future__ import annotations

import re

from qmisniff.errors import UsageError
from qmisniff.frame import Link

# One byte or more: 0x1f and \x1f, or pairs of digits. Between them stand spaces, commas, colons, dashes, braces.
_TOKEN = re.compile(r"(?:0x|\\x)([0-9a-f]{1,2})(?![0-9a-f])|(?:0x)?((?:[0-9a-f]{2})+)(?![0-9a-f])", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,:;{}\[\]()\"'.|-]*")
# `0010: 01 02 ..  ascii`, as xxd, hexdump -C and tshark -x print: offset, bytes, two spaces, the same as text.
_DUMP = re.compile(
    r"^\s*([0-9a-f]{4,8}):?(?: {1,2}((?:(?:[0-9a-f]{2}){1,2} {1,2}){0,31}(?:[0-9a-f]{2}){1,2})(?:\s{2,}.*)?)?$",
    re.IGNORECASE,
)
# `<<<<<<   data   = 01:0c:00`: a message in a log of libqmi or libmbim (`qmicli --verbose`, ModemManager).
_LOGGED = re.compile(r"[<>]{6} +data += ((?:[0-9a-f]{2}:)*[0-9a-f]{2})\b", re.IGNORECASE)
# `unsigned char packet[3] = { 0x01, 0x0c, 0x00 };`
_ARRAY = re.compile(r"\]\s*=\s*\{([^{}]*)\}")


def parse_hex(text: str) -> bytes:
    """The bytes of one packet. Raises UsageError with the place where the text stops being hexadecimal."""
    found = _found(text)
    if len(found) == 1:
        return found[0]
    data = bytearray()
    at = _skip(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UsageError(f"not hexadecimal at character {at + 1}: {text[at : at + 20]!r}", "bytes such as 01 0c 00")
        data += bytes([int(match[1], 16)]) if match[1] else bytes.fromhex(match[2])
        at = _skip(text, match.end())
    return bytes(data)


def parse_packets(text: str) -> list[bytes]:
    """The packets of a whole text: one a line; or of what is found in it, see `_found`. Raises UsageError with the
    line that is no packet."""
    found = _found(text)
    if found:
        return found
    packets: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            packets.append(parse_hex(line))
        except UsageError as error:
            raise UsageError(f"line {number}: {error.args[0]}", error.remedy) from None
    return [packet for packet in packets if packet]


def _found(text: str) -> list[bytes]:
    """The packets of a log, of C arrays, of hex dumps that begin at offset 0; none where the text is none of these."""
    logged = [bytes.fromhex(each[1].replace(":", "")) for each in _LOGGED.finditer(text)]
    if logged:
        return logged
    arrays = [parse_hex(each[1]) for each in _ARRAY.finditer(text)]
    return arrays or _dumped([line for line in text.splitlines() if line.strip()])


def _dumped(lines: list[str]) -> list[bytes]:
    """The packets of a hex dump of two lines or more; none where the lines are no such dump.

    Words of four digits look like an offset and bytes: it is a dump only if the offsets count the bytes.
    """
    packets: list[bytearray] = []
    for at, line in enumerate(lines):
        match = _DUMP.match(line)
        offset = int(match[1], 16) if match else -1
        if offset == 0 and match and match[2]:
            packets.append(bytearray())
        elif not packets or offset != len(packets[-1]):
            return []
        # Beside a full line, text such as "beef" could be taken for bytes; only the last line may be a short one.
        follows = _DUMP.match(lines[at + 1]) if at + 1 < len(lines) else None
        width = int(follows[1], 16) - offset if follows else 0
        packets[-1] += bytes.fromhex(match[2] or "")[: width if width > 0 else 16] if match else b""
    return [bytes(packet) for packet in packets] if len(lines) > 1 else []


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
