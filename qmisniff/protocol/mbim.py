# SPDX-License-Identifier: GPL-2.0-or-later
"""MBIM control messages as far as they carry QMUX frames (USB-IF MBIM 1.0; libqmi src/libqmi-glib/qmi-device.c)."""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol.layout import Item, Layout

COMMAND, COMMAND_DONE, INDICATE_STATUS = 0x00000003, 0x80000003, 0x80000007
QMI_UUID = bytes.fromhex("d1a30bc2f97a6e43bf65c7e24fb0f0d3")  # the device service "QMI over MBIM"
QMI_CID = 1

TYPES = {
    0x00000001: "OPEN",
    0x00000002: "CLOSE",
    COMMAND: "COMMAND",
    0x00000004: "HOST_ERROR",
    0x80000001: "OPEN_DONE",
    0x80000002: "CLOSE_DONE",
    COMMAND_DONE: "COMMAND_DONE",
    0x80000004: "FUNCTION_ERROR",
    INDICATE_STATUS: "INDICATE_STATUS",
}

HEADER = Layout(
    "mbim",
    [
        Item("type", 4, "Type", hex=True, labels=TYPES),
        Item("length", 4, "Length"),
        Item("txn", 4, "Transaction"),
    ],
)
FRAGMENT = Layout(
    "mbim",
    [
        Item("fragments", 4, "Fragments"),
        Item("fragment", 4, "Fragment"),
    ],
)
# What follows the header of a message that has no device service.
PLAIN = {
    0x00000001: Layout("mbim", [Item("max_transfer", 4, "Most bytes a transfer")]),
    0x00000004: Layout("mbim", [Item("error", 4, "Error")]),
    0x80000001: Layout("mbim", [Item("status", 4, "Status")]),
    0x80000002: Layout("mbim", [Item("status", 4, "Status")]),
    0x80000004: Layout("mbim", [Item("error", 4, "Error")]),
}
UUID = FieldSpec("mbim.service", "Device service", Kind.BYTES, 16)
TAILS = {  # what stands between the UUID and the information buffer
    COMMAND: Layout(
        "mbim",
        [
            Item("cid", 4, "Command"),
            Item("command_type", 4, "Command type", labels={0: "query", 1: "set"}),
            Item("buffer_length", 4, "Buffer length"),
        ],
    ),
    COMMAND_DONE: Layout(
        "mbim",
        [
            Item("cid", 4, "Command"),
            Item("status", 4, "Status"),
            Item("buffer_length", 4, "Buffer length"),
        ],
    ),
    INDICATE_STATUS: Layout(
        "mbim",
        [
            Item("cid", 4, "Command"),
            Item("buffer_length", 4, "Buffer length"),
        ],
    ),
}
UUID_SIZE = 16
BODY = HEADER.size + FRAGMENT.size  # where what fragments are put together from begins in each of them


class Head(NamedTuple):
    """What the headers of a message say; a message that cannot be fragmented is one fragment of one."""

    type: int
    txn: int
    fragments: int
    fragment: int


def parse_head(data: bytes, start: int, end: int, missing: int = 0) -> Head | None:
    """The headers of the message that fills `data[start:end]`, of which the capture has left out `missing` bytes at the
    end; None where the bytes are not beyond doubt a message, or a fragment of one."""
    size = end - start
    if size < HEADER.size:
        return None
    kind, length, txn = HEADER.struct.unpack_from(data, start)
    if kind not in TYPES or length != size + missing:
        return None
    tail = TAILS.get(kind)
    if tail is None:
        plain = PLAIN.get(kind)
        return Head(kind, txn, 1, 0) if length == HEADER.size + (plain.size if plain else 0) else None
    if size < BODY:
        return None
    fragments, fragment = FRAGMENT.struct.unpack_from(data, start + HEADER.size)
    if fragment >= fragments or (fragment == 0 and size < BODY + UUID_SIZE + tail.size):
        return None
    return Head(kind, txn, fragments, fragment)


def qmi_buffer(kind: int, body: bytes, start: int) -> tuple[int, int] | None:
    """Where the QMUX frames in a message's body (UUID and what follows, from `start` on) begin and end; None where it
    is of another device service or holds none."""
    tail = TAILS[kind]
    at = start + UUID_SIZE + tail.size
    if len(body) < at or body[start : start + UUID_SIZE] != QMI_UUID:
        return None
    values = tail.struct.unpack_from(body, start + UUID_SIZE)
    stop = min(at + values[-1], len(body))
    return (at, stop) if values[0] == QMI_CID and stop > at else None
