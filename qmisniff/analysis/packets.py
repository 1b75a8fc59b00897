# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs and services say to each other, as columns: QMI messages, and datagrams of another make.

Plain messages are read in bulk; whatever is irregular is decoded, so that the columns say what the trees say.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qmisniff.analysis.rows import Cancel, Cancelled, Rows, never, partners, pieces, times
from qmisniff.dissect import Dissector
from qmisniff.dissect.transport import address
from qmisniff.frame import Direction, Hook, Link
from qmisniff.protocol import qmi, qrtr, tftp
from qmisniff.protocol.arrays import I4, I8, U1, U4, U8, Mask, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns

OTHER = 255  # in `kind`: no QMI message
NONE = -1
QMUX = 0xFFFFFFF0 << 32  # in place of a node: the address of a QMUX message is service << 8 | client
QMUX_SERVER = 1 << 32  # set in the modem's end of it
_PART = 256  # packets decoded between two looks at whether to go on


class Packets(NamedTuple):
    """One element a packet, in order of capture. Of a frame with several messages the first one counts.

    Addresses are node << 32 | port; the two ends of QMUX messages have addresses too (`end_text` shows all of them).
    """

    row: I8
    ts_ns: I8
    size: U4  # bytes of the packet with its header
    kind: U1  # request 0, response 1, indication 2, none of them 3; OTHER
    service: I8  # -1 unknown
    msgid: I4  # -1 without a message
    result: I4  # of the result TLV, 0 is success; -1 without one
    error: I4
    source: U8
    target: U8
    task: U4  # Store.tasks
    own: Mask  # the process that it names sent it: it neither came from elsewhere nor was seen where it was received
    partner: I8  # row of the response or the request, -1 none

    def take(self, places: Numbers) -> Packets:
        """Some of them."""
        columns: list[Any] = [column[places] for column in self]
        return Packets(*columns)

    @property
    def failed(self) -> Mask:
        """Responses that say the request failed."""
        return np.asarray((self.kind == qmi.RESPONSE) & (self.result > 0))

    @property
    def client(self) -> U8:
        """The end that asks and is answered, as the packet alone tells."""
        return np.where((self.kind == qmi.REQUEST) | (self.kind > qmi.INDICATION), self.source, self.target)

    @property
    def server(self) -> U8:
        """The other end."""
        return np.where((self.kind == qmi.REQUEST) | (self.kind > qmi.INDICATION), self.target, self.source)


def packets(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Packets:
    """What these rows hold of messages and datagrams; control packets are not among them. Raises Cancelled."""
    found = [_read(store, dissector, columns, places, cancel) for columns, places in pieces(store, rows, cancel)]
    if not found:
        return _EMPTY
    joined: list[Any] = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Packets(*joined)


def _read(store: Store, dissector: Dissector, columns: Columns, places: I8, cancel: Cancel) -> Packets:
    result, error, doubtful = _results(columns)
    datagram, irregular = _others(dissector, columns)
    odd = irregular | doubtful
    places = places[(columns.plain | datagram | odd)[places]]
    rows = places + columns.first
    source, target = _addresses(columns, places)
    msgid = np.where(columns.plain, columns.msgid, np.int32(NONE))
    made = Packets(
        rows,
        times(store, rows),
        columns.orig_len[places],
        columns.qmi_type[places],
        columns.service[places],
        msgid[places],
        result[places],
        error[places],
        source,
        target,
        columns.task[places],
        (columns.direction[places] != Direction.INBOUND) & (columns.hook[places] != Hook.RECEIVED),
        partners(store, rows),
    )
    gone = []
    for number, at in enumerate(np.flatnonzero(odd[places]).tolist()):
        if number % _PART == 0 and cancel():
            raise Cancelled
        if not _decode(store, dissector, made, at):
            gone.append(at)
    return made.take(np.delete(np.arange(len(rows)), gone)) if gone else made


def _others(dissector: Dissector, columns: Columns) -> tuple[Mask, Mask]:
    """Of the rows that are no plain messages: datagrams of services known to talk otherwise, and those that only the
    dissector can tell."""
    registry = dissector.registry
    silent = [number for number in qmi.NOT_QMI if number == tftp.SERVICE or registry.service(number) is None]
    packet = (columns.link == Link.QRTR) & (columns.qrtr_type == qrtr.DATA)
    # What goes to or comes from a name service may be a control packet.
    named = (columns.src_port == qrtr.PORT_CONTROL) | (columns.dst_port == qrtr.PORT_CONTROL)
    datagram = packet & np.isin(columns.service, silent) & ~named
    carrier = (columns.link != Link.QRTR) & (columns.link != Link.OTHER)
    if columns.transfers is not None:
        carrier &= ~columns.transfers.idle
    return datagram & ~columns.plain, (packet & ~datagram | carrier) & ~columns.plain


def _results(columns: Columns) -> tuple[I4, I4, Mask]:
    """Result and error of each response among the columns, and which rows must be decoded to know them."""
    response = columns.qmi_type == qmi.RESPONSE
    result, error = np.full(len(columns), NONE, np.int32), np.full(len(columns), NONE, np.int32)
    if not response.any():
        return result, error, response
    tlvs = columns.tlvs
    hit = np.flatnonzero((tlvs.type == qmi.RESULT_TLV) & response[tlvs.index])
    index = tlvs.index[hit].astype(np.intp)
    doubtful: Mask = response & (tlvs.broken | (np.bincount(index, minlength=len(columns)) > 1))
    doubtful[index[tlvs.length[hit] != 4]] = True
    right = ~doubtful[index]
    words = columns.take(tlvs.value[hit[right]], 4).view("<u2")
    result[index[right]], error[index[right]] = words[:, 0], words[:, 1]
    return result, error, doubtful


def _addresses(columns: Columns, places: I8) -> tuple[U8, U8]:
    """Where the packets come from and go to."""
    source = columns.src_node[places].astype(np.uint64) << np.uint64(32) | columns.src_port[places]
    target = columns.dst_node[places].astype(np.uint64) << np.uint64(32) | columns.dst_port[places]
    rows = np.flatnonzero((columns.link[places] == Link.QMUX) & columns.plain[places])
    if len(rows):
        ends = columns.take(columns.offset[places[rows]] + 4, 2).astype(np.uint64)
        client = np.uint64(QMUX) | ends[:, 0] << np.uint64(8) | ends[:, 1]
        asked = columns.qmi_type[places[rows]] == qmi.REQUEST
        source[rows] = np.where(asked, client, client | np.uint64(QMUX_SERVER))
        target[rows] = np.where(asked, client | np.uint64(QMUX_SERVER), client)
    return source, target


def _decode(store: Store, dissector: Dissector, into: Packets, at: int) -> bool:
    """Fill in what the dissector says of an irregular packet; False where it is neither message nor datagram."""
    row = int(into.row[at])
    values = dissector.values(store.frame(row), store.context(row))
    if "qrtr.ctrl.cmd" in values or values.get("qrtr.type", qrtr.DATA) != qrtr.DATA:
        return False
    if "qmi.type" in values:  # else its header is cut short
        into.kind[at] = min(_first(values["qmi.type"]), 3)
        into.msgid[at] = _first(values["qmi.msgid"])
    elif "qrtr.dst_port" in values:
        into.kind[at], into.msgid[at] = OTHER, NONE
    else:
        return False
    into.service[at] = _first(values.get("qmi.service", values.get("qrtr.service", into.service[at])))
    into.result[at] = _first(values.get("qmi.result", NONE))
    into.error[at] = _first(values.get("qmi.error", NONE))
    if "qrtr.dst_port" not in values:
        client = QMUX | _first(values.get("qmux.service", 0)) << 8 | _first(values.get("qmux.client", 0))
        ends = client, client | QMUX_SERVER
        into.source[at], into.target[at] = ends if into.kind[at] == qmi.REQUEST else ends[::-1]
    return True


def _first(value: Any) -> int:
    """The value of a field, the first where it occurs more than once."""
    return int(value[0]) if isinstance(value, list) else int(value)


def end_of(address: tuple[int, int]) -> int:
    """A node and port as an address of Packets."""
    return address[0] << 32 | address[1]


def is_qmux(end: int) -> bool:
    """Is it an end of QMUX messages?"""
    return end | QMUX_SERVER | 0xFFFFFFFF == QMUX | QMUX_SERVER | 0xFFFFFFFF


def end_text(end: int) -> str:
    """An address of Packets as people read it: node:port, or which end of QMUX."""
    if not is_qmux(end):
        return address(end >> 32, end & 0xFFFFFFFF)
    return "modem" if end & QMUX_SERVER else f"host:{end & 0xFF}"


def end_condition(end: int, other: int) -> str:
    """A display filter for what these two ends say to each other."""
    if is_qmux(end):
        client = other if end & QMUX_SERVER else end
        return f"qmi.type and qmux.service == {client >> 8 & 0xFF} and qmux.client == {client & 0xFF}"
    return f"({_from_to(end, other)}) or ({_from_to(other, end)})"


def _from_to(end: int, other: int) -> str:
    source = f"qrtr.src_node == {end >> 32} and qrtr.src_port == 0x{end & 0xFFFFFFFF:x}"
    return f"{source} and qrtr.dst_node == {other >> 32} and qrtr.dst_port == 0x{other & 0xFFFFFFFF:x}"


_EMPTY = Packets(
    *(np.empty(0, code) for code in ("i8", "i8", "u4", "u1", "i8", "i4", "i4", "i4", "u8", "u8", "u4", "u1", "i8"))
)
