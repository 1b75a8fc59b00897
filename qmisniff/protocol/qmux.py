# SPDX-License-Identifier: GPL-2.0-or-later
"""QMUX, the frame around QMI messages on USB and character devices (libqmi src/libqmi-glib/qmi-message.c)."""

from __future__ import annotations

from struct import Struct

from qmisniff.protocol.layout import Item, Layout

MARKER = 0x01
MARKER_WIDE = 0x02  # libqmi's own form for services above 255; in its logs only

HEADER = Layout(
    "qmux",
    [
        Item("marker", 1, "Marker", hex=True),
        Item("length", 2, "Length"),
        Item("flags", 1, "Flags", hex=True, labels={0x00: "from host", 0x80: "from modem"}),
        Item("service", 1, "Service"),
        Item("client", 1, "Client", labels={0xFF: "broadcast"}),
    ],
)
WIDE_HEADER = Layout(
    "qmux",
    [
        Item("marker", 1, "Marker", hex=True),
        Item("length", 2, "Length"),
        Item("service", 2, "Service"),
        Item("client", 1, "Client", labels={0xFF: "broadcast"}),
    ],
)

_LENGTH = Struct("<H")
_LEAST = HEADER.size + 6  # bytes of a frame: there is none without the header of a message
_FLAGS = (0x00, 0x80)
SERVICE_AT = 4


def frame_end(data: bytes, start: int) -> int:
    """Where the frame ends whose header is at `start`, as it says itself."""
    return start + 1 + int(_LENGTH.unpack_from(data, start + 1)[0])


def begins(data: bytes, start: int, end: int) -> bool:
    """Does a frame begin in `data[start:end]`, beyond doubt? Its length is that of the bytes, or the message in it has
    just the length that fits into it; then it may be longer than the bytes, or others may follow."""
    if end - start < _LEAST or data[start] != MARKER or data[start + 3] not in _FLAGS:
        return False
    stop = frame_end(data, start)
    if stop - start < _LEAST:
        return False
    if stop == end:
        return True
    length_at = start + HEADER.size + (4 if data[start + SERVICE_AT] == 0 else 5)
    return length_at + 2 <= end and length_at + 2 + _LENGTH.unpack_from(data, length_at)[0] == stop


def frames(data: bytes, start: int, end: int) -> list[int]:
    """Where the frames in `data[start:end]` begin, of which the first is one for sure."""
    found = [start]
    if end - start < HEADER.size or data[start] != MARKER:
        return found
    at = frame_end(data, start)
    while begins(data, at, end) and at >= start + HEADER.size:
        found.append(at)
        at = frame_end(data, at)
    return found
