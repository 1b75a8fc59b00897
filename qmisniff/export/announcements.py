# SPDX-License-Identifier: GPL-2.0-or-later
"""What chosen packets need beside them: a QRTR data packet does not name its service, an earlier packet does."""

from __future__ import annotations

from collections.abc import Collection

from qmisniff.dissect import Dissector
from qmisniff.filter import compile_filter
from qmisniff.frame import Link
from qmisniff.protocol import qrtr
from qmisniff.store import Store

_SERVERS = "qrtr.type in {new_server, del_server}"


def announcing(store: Store, rows: Collection[int], dissector: Dissector) -> frozenset[int]:
    """The rows of the announcements, and their ends, of all ports that these rows' packets come from or go to."""
    addresses = set()
    for row in rows:
        frame = store.frame(row)
        header = qrtr.parse_header(frame.data) if frame.link is Link.QRTR else None
        if header is not None and header.type == qrtr.DATA:
            addresses |= {(header.src_node, header.src_port), (header.dst_node, header.dst_port)}
    if not addresses:
        return frozenset()
    found = set()
    for part in compile_filter(_SERVERS, dissector.registry).rows(store, dissector):
        for row in part.rows:
            data = store.frame(row).data
            header = qrtr.parse_header(data)
            control = header and qrtr.parse_control(data, header.payload)
            if header is None or control is None:
                continue
            # One that a server sends itself may name no address: then the sender's counts.
            sender = header.src_node, header.src_port
            if qrtr.control_address(control) in addresses or sender in addresses:
                found.add(row)
    return frozenset(found)
