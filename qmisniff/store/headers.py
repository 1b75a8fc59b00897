# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers of many frames at once: QRTR, QMUX and QMI, out of the layouts that the dissector reads one by one.

Whatever is not regular from the first byte to the last is not `plain`, and left to the dissector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from qmisniff.frame import Link
from qmisniff.protocol import qmi, qmux, qrtr
from qmisniff.protocol.arrays import I8, U1, U2, U4, U8, Mask, Numbers
from qmisniff.protocol.layout import Layout
from qmisniff.store.flows import Flows

Rows = I8 | slice  # what an array is indexed by: some rows, or all

NO_MESSAGE = 255  # in `type`
_V1, _V2 = qrtr.V1.dtype(), qrtr.V2.dtype()
_QMUX = qmux.HEADER.dtype()
_CONTROL_SIZE = 20
_MESSAGE, _CTL = qmi.SERVICE_HEADER.dtype(), qmi.CTL_HEADER.dtype()


class Headers(NamedTuple):
    """Header columns."""

    packet: U1  # type of the QRTR packet, 255 for those above 254, 0 without a header
    flow: U4  # Flows
    message: U2  # offset of the QMI header in the frame, 0 where there is none
    type: U1  # request, response, indication, 3 for others; NO_MESSAGE
    compound: Mask
    txn: U2
    msgid: U2
    tlv_length: U2
    paired: Mask  # the tracker looks for its request or its response
    plain: Mask

    @classmethod
    def empty(cls, count: int) -> Headers:
        """Columns for so many frames, none of which has a header."""

        def zeros(code: str) -> Any:
            return np.zeros(count, code)

        return cls(
            zeros("u1"), zeros("u4"), zeros("u2"), np.full(count, NO_MESSAGE, np.uint8), zeros("?"), zeros("u2"),
            zeros("u2"), zeros("u2"), zeros("?"), zeros("?"),
        )  # fmt: skip

    def run(self, start: int, stop: int) -> Headers:
        """The columns of some of the frames, not copied."""
        columns: Iterator[Any] = (column[start:stop] for column in self)
        return Headers(*columns)


def gather(buffer: U1, places: I8, layout: np.dtype[Any]) -> Numbers:
    """The records of `layout` that begin at these places of the buffer; the caller knows that they are inside."""
    # One copy of so many bytes a record: a structured take would copy field by field.
    size = layout.itemsize
    if not len(places):
        return np.empty(0, layout)
    anywhere = np.ndarray(len(buffer) - size + 1, f"V{size}", buffer, strides=(1,))
    return anywhere[places].view(layout)


def where(mask: Mask) -> Rows:
    """The rows for which the mask holds."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def read_headers(buffer: U1, offset: I8, length: U4, link: U1, flows: Flows, into: Headers) -> None:
    """Fill the header columns of these frames; `into` must be as `Headers.empty` made it."""
    first = np.zeros(len(offset), np.uint8)
    there = where(length > 0)
    first[there] = buffer[offset[there]]
    qrtr_link = link == Link.QRTR
    for version, layout in ((1, qrtr.V1), (3, qrtr.V2)):
        mask = qrtr_link & (first == version) & (length >= layout.size)
        if mask.any():
            _packets(buffer, offset, length, where(mask), layout, flows, into)
    mask = (link == Link.QMUX) & (first == qmux.MARKER) & (length >= qmux.HEADER.size)
    if mask.any():
        _qmux_frames(buffer, offset, length, np.flatnonzero(mask), flows, into)


def _packets(buffer: U1, offset: I8, length: U4, rows: Rows, layout: Layout, flows: Flows, into: Headers) -> None:
    offset = offset[rows]
    head = gather(buffer, offset, _V1 if layout is qrtr.V1 else _V2)
    into.packet[rows] = np.minimum(head["type"], 255)
    payload = np.full(len(head), layout.size, np.int64)
    if layout is qrtr.V1:
        words = head.view("<u8").reshape(len(head), -1)
        source, target = words[:, 1], words[:, 3]  # node and port, as flows have them
    else:
        payload += head["optlen"]
        source, target = (_address(head[f"{end}_node"], head[f"{end}_port"]) for end in ("src", "dst"))
    into.flow[rows] = flows.packets(source, target)
    size = head["size"].astype(np.int64)
    left = length[rows] - payload
    regular = (size <= left) & (left - size < 4) & (head["version"] == (1 if layout is qrtr.V1 else 3))
    control = np.flatnonzero(size == _CONTROL_SIZE)
    if len(control):
        regular[control] &= ~(_to_control(source[control]) | _to_control(target[control]))
    # A message is looked for only in what was captured of the payload.
    wanted = (head["type"] == qrtr.DATA) & (np.minimum(size, left) >= qmi.SERVICE_HEADER.size)
    if not wanted.all():
        rows = np.flatnonzero(wanted) if isinstance(rows, slice) else rows[wanted]
        offset, payload, size, regular = offset[wanted], payload[wanted], size[wanted], regular[wanted]
    _messages(buffer, offset, rows, payload, size, regular, into)


def _address(node: U2, port: U2) -> U8:
    wide = port.astype(np.uint64)
    wide[port == 0xFFFE] = qrtr.PORT_CONTROL
    return wide << np.uint64(32) | node


def _to_control(address: U8) -> Mask:
    return np.asarray(address >> np.uint64(32) == qrtr.PORT_CONTROL)


def _messages(buffer: U1, offset: I8, rows: Rows, start: I8, size: I8, regular: Mask, into: Headers) -> None:
    """Messages of services: they begin `start` bytes into their frames and take `size` bytes, as the frame says."""
    head = gather(buffer, offset + start, _MESSAGE)
    kind = np.minimum(head["flags"] >> 1, 3)
    filled = head["length"] + np.int64(_MESSAGE.itemsize) == size
    into.compound[rows] = head["flags"] & 1
    _common(head, rows, start, kind, into)
    into.paired[rows] = filled
    into.plain[rows] = filled & regular & (kind <= qmi.INDICATION)


def _common(head: Numbers, rows: Rows, start: Numbers, kind: U1, into: Headers) -> None:
    into.message[rows] = start
    into.type[rows] = kind
    into.txn[rows] = head["txn"]
    into.msgid[rows] = head["msgid"]
    into.tlv_length[rows] = head["length"]


def _qmux_frames(buffer: U1, offset: I8, length: U4, rows: I8, flows: Flows, into: Headers) -> None:
    offset = offset[rows]
    head = gather(buffer, offset, _QMUX)
    into.flow[rows] = flows.frames(head["service"].astype(np.uint64), head["client"].astype(np.uint64))
    left = length[rows].astype(np.int64) - _QMUX.itemsize
    regular = head["length"].astype(np.int64) + 1 == length[rows]
    start = np.full(len(rows), _QMUX.itemsize, np.int64)
    ctl = head["service"] == qmi.CTL
    wanted = ~ctl & (left >= _MESSAGE.itemsize)
    _messages(buffer, offset[wanted], rows[wanted], start[wanted], left[wanted], regular[wanted], into)
    into.paired[rows[wanted]] = True
    wanted = ctl & (left >= _CTL.itemsize)
    rows, offset, left, regular = rows[wanted], offset[wanted], left[wanted], regular[wanted]
    inner = gather(buffer, offset + _QMUX.itemsize, _CTL)
    kind = np.minimum(inner["flags"], 3)
    _common(inner, rows, start[wanted], kind, into)
    into.paired[rows] = True
    into.plain[rows] = regular & (inner["length"].astype(np.int64) + _CTL.itemsize == left) & (kind <= qmi.INDICATION)
