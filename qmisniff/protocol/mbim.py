# SPDX-License-Identifier: GPL-2.0-or-later
"""MBIM control messages as far as they carry QMUX frames (USB-IF MBIM 1.0; libqmi src/libqmi-glib/qmi-device.c)."""

from __future__ import annotations

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
