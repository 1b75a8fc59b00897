# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields that are columns of the store, or made of some: frames and headers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qmisniff.dissect.frame_layer import TAPPED
from qmisniff.filter.verdict import Column
from qmisniff.frame import Flag, Link
from qmisniff.protocol import qmi, qmux, qrtr
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store.columns import Columns

_Made = tuple[Numbers, Mask | bool]  # values, and where they are (True: everywhere)


def header_column(name: str, columns: Columns) -> Column | None:
    """The column of a field in HEADERS, None for any other."""
    if name in _FRAME:
        values, present = _FRAME[name](columns)
        return Column(values, _everywhere(present, columns), np.ones(len(columns), bool))
    if name in _PLAIN:
        values, present = _PLAIN[name](columns)
        return Column(values, _everywhere(present, columns) & columns.plain, columns.plain)
    return _in_header(name, columns) if name in _OTHERS else None


def absent_column(name: str, columns: Columns) -> Mask | None:
    """Plain rows that a field cannot be in because they are plain; None for fields of which that is not known."""
    if name == "qrtr.trailer":
        absent: Mask = columns.plain & (columns.tlv_start + columns.tlv_length == columns.offset + columns.length)
        return absent
    if name.startswith(_ELSEWHERE) or name in ("data", "tftp", "mbim", "qrtr.service"):
        regular: Mask = (columns.link == Link.QRTR) | (columns.link == Link.QMUX)
        return columns.plain & regular
    return None


def _in_header(name: str, columns: Columns) -> Column:
    """A field that only its header's layout knows, gathered from the bytes of plain frames."""
    values, present = np.zeros(len(columns), np.int64), np.zeros(len(columns), bool)
    protocol, _, part = name.partition(".")
    for link, marker, layout in _LAYOUTS:
        record = layout.dtype()
        # In the second version of QRTR's header the confirmation is a bit of the flags.
        if layout.specs[0].name.startswith(f"{protocol}.") and (part in (record.names or ()) or part == "confirm_rx"):
            rows = np.flatnonzero(columns.plain & (columns.link == link))
            rows = rows[columns.buffer[columns.offset[rows]] == marker]
            found = columns.take(columns.offset[rows], record.itemsize).view(record)[:, 0]
            values[rows] = found[part] if part in (record.names or ()) else found["flags"] & 1
            present[rows] = True
    return Column(values, present, columns.plain)


def _everywhere(present: Mask | bool, columns: Columns) -> Mask:
    return np.full(len(columns), present) if isinstance(present, bool) else present


def _whole(numbers: Numbers) -> Numbers:
    return numbers.astype(np.int64)


def _flag(flag: Flag, columns: Columns) -> Numbers:
    return _whole(columns.flags & flag.value != 0)


def _tapped(columns: Columns) -> Mask:
    found: Mask = _TAPPED[columns.link]
    return found


def _response_to(columns: Columns) -> _Made:
    return columns.partner + 1, (columns.partner >= 0) & (columns.qmi_type == qmi.RESPONSE)


def _payload(columns: Columns) -> Numbers:
    """Bytes of the QMI message: of a plain frame, all that its QRTR header announces."""
    return columns.tlv_start + columns.tlv_length - columns.offset - columns.message


_TAPPED = np.isin(np.arange(256), sorted(TAPPED))  # by link
_FRAME: dict[str, Callable[[Columns], _Made]] = {
    "frame": lambda c: (np.zeros(len(c), np.int64), True),
    "tap": lambda c: (np.zeros(len(c), np.int64), _tapped(c) | (c.lost > 0)),
    "frame.number": lambda c: (np.arange(c.first + 1, c.first + 1 + len(c), dtype=np.int64), True),
    "frame.time": lambda c: (c.ts_ns, True),
    "frame.time_epoch": lambda c: (c.ts_ns, True),
    "frame.time_delta": lambda c: (c.since_previous_ns, True),
    "frame.time_relative": lambda c: (c.since_first_ns, True),
    "frame.len": lambda c: (_whole(c.orig_len), True),
    "frame.cap_len": lambda c: (_whole(c.length), True),
    "tap.hook": lambda c: (_whole(c.hook), _tapped(c)),
    "tap.direction": lambda c: (_whole(c.direction), _tapped(c)),
    "tap.pid": lambda c: (_whole(c.pid), _tapped(c) & (c.pid >= 0)),
    "tap.cpu": lambda c: (_whole(c.cpu), _tapped(c) & (c.cpu >= 0)),
    "tap.synthetic": lambda c: (_flag(Flag.SYNTHETIC, c), _tapped(c)),
    "tap.truncated": lambda c: (_flag(Flag.TRUNCATED, c), _tapped(c) & (c.flags != 0)),
    "tap.header_rebuilt": lambda c: (_flag(Flag.HEADER_REBUILT, c), _tapped(c) & (c.flags != 0)),
    "tap.lost": lambda c: (c.lost, c.lost > 0),
}
_PLAIN: dict[str, Callable[[Columns], _Made]] = {
    "qrtr": lambda c: (np.zeros(len(c), np.int64), c.link == Link.QRTR),
    "qmux": lambda c: (np.zeros(len(c), np.int64), c.link == Link.QMUX),
    "qmi": lambda c: (np.zeros(len(c), np.int64), True),
    "qrtr.ctrl": lambda c: (np.zeros(len(c), np.int64), False),
    "qrtr.type": lambda c: (_whole(c.qrtr_type), c.link == Link.QRTR),
    "qrtr.src_node": lambda c: (_whole(c.src_node), c.link == Link.QRTR),
    "qrtr.src_port": lambda c: (_whole(c.src_port), c.link == Link.QRTR),
    "qrtr.dst_node": lambda c: (_whole(c.dst_node), c.link == Link.QRTR),
    "qrtr.dst_port": lambda c: (_whole(c.dst_port), c.link == Link.QRTR),
    "qrtr.size": lambda c: (_payload(c), c.link == Link.QRTR),
    "qmi.service": lambda c: (c.service, c.service >= 0),
    "qmi.instance": lambda c: (c.instance, c.instance >= 0),
    "qmi.type": lambda c: (_whole(c.qmi_type), True),
    "qmi.compound": lambda c: (_whole(c.compound), True),
    "qmi.txn": lambda c: (_whole(c.txn), True),
    "qmi.msgid": lambda c: (_whole(c.msgid), True),
    "qmi.length": lambda c: (_whole(c.tlv_length), True),
    "qmi.response_to": _response_to,
    "qmi.response_in": lambda c: (c.partner + 1, (c.partner >= 0) & (c.qmi_type != qmi.RESPONSE)),
    "qmi.time": lambda c: (c.response_ns / 1e9, (c.partner >= 0) & (c.qmi_type == qmi.RESPONSE)),
}
# Layers that a regular QMI message in a QRTR packet or a QMUX frame does not have.
_ELSEWHERE = ("qrtr.ctrl.", "data.", "tftp.", "mbim.")
_LAYOUTS = ((Link.QRTR, 1, qrtr.V1), (Link.QRTR, 3, qrtr.V2), (Link.QMUX, qmux.MARKER, qmux.HEADER))
_OTHERS = {spec.name for _, _, layout in _LAYOUTS for spec in layout.specs} - {*_FRAME, *_PLAIN}
HEADERS = frozenset(_FRAME) | frozenset(_PLAIN) | _OTHERS  # the names of all fields that are columns
