# SPDX-License-Identifier: GPL-2.0-or-later
"""QMUX, the frame around QMI messages on USB and character devices (libqmi src/libqmi-glib/qmi-message.c)."""

from __future__ import annotations

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
