# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of a store's rows as numpy arrays: what filters, statistics and lists ask of many frames at once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qmisniff.frame import USB_LINKS, Link
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I4, I8, U1, U2, U4, U8, Mask
from qmisniff.store.chunk import CAPACITY, COLUMNS, Chunk
from qmisniff.store.file_bytes import Span
from qmisniff.store.flows import Flows
from qmisniff.store.headers import Headers, read_headers
from qmisniff.store.tlv_index import TlvIndex
from qmisniff.tracker.urbs import Rows, survey

if TYPE_CHECKING:
    from qmisniff.store import Store

NONE = -1


class Columns:
    """Rows `first` and following of a store, element by element. Arrays are made when first asked for, some kept by the
    chunk for the next who asks.

    `plain` tells of which frames `message` and what follows it say everything: the headers are complete and agree with
    each other, and a QMI message fills the frame. Of all others only what stands before `plain` means something.
    """

    def __init__(self, chunk: Chunk, base: int, start: int, stop: int, store: Store) -> None:
        self.first = base + start
        self._chunk = chunk
        self._start = start
        self._stop = stop
        self._store = store
        self._names = store.names
        self._tracker = store.tracker
        self._walked: tuple[Mask, TlvIndex] | None = None

    def __len__(self) -> int:
        return self._stop - self._start

    def _column(self, name: str) -> Any:
        """As wide as it is in chunks of live frames: in those of files it may be narrower."""
        column = np.asarray(self._chunk.columns[name])[self._start : self._stop]
        return column.astype(COLUMNS[name], copy=False)

    # ---- the frame ----

    @cached_property
    def buffer(self) -> U1:
        """The bytes that places point into. Not to be written to, and of a file not to be kept for long."""
        held = self._chunk.buffer
        return np.frombuffer(held.all() if isinstance(held, Span) else held, np.uint8)

    @cached_property
    def ts_ns(self) -> I8:
        """Nanoseconds since 1970."""
        return np.frombuffer(self._tracker.ts_column[self.first : self.first + len(self)], np.int64)

    @cached_property
    def since_previous_ns(self) -> I8:
        """Nanoseconds since the frame before it, which may be in another run of rows; of the first frame 0."""
        before = max(self.first - 1, 0)
        times = np.frombuffer(self._tracker.ts_column[before : self.first + len(self)], np.int64)
        return np.diff(times) if self.first else np.diff(times, prepend=times[:1])

    @property
    def since_first_ns(self) -> I8:
        """Nanoseconds since the first frame of the capture."""
        return self.ts_ns - self._tracker.first_ns

    @property
    def offset(self) -> I8:
        """Where the frame begins in `buffer`."""
        return np.asarray(self._column("offset").astype(np.int64))

    @property
    def length(self) -> U4:
        """Captured bytes of the frame."""
        return np.asarray(self._column("length"))

    @property
    def orig_len(self) -> U4:
        """Bytes the frame had."""
        return np.asarray(self._column("orig_len"))

    @property
    def link(self) -> U1:
        """Values of frame.Link."""
        return np.asarray(self._column("link"))

    @property
    def direction(self) -> U1:
        """Values of frame.Direction."""
        return np.asarray(self._column("direction"))

    @property
    def hook(self) -> U1:
        """Values of frame.Hook."""
        return np.asarray(self._column("hook"))

    @property
    def flags(self) -> U1:
        """Values of frame.Flag."""
        return np.asarray(self._column("flags"))

    @property
    def origin(self) -> U4:
        """Index into Store.origins."""
        return np.asarray(self._column("origin"))

    @property
    def task(self) -> U4:
        """Index into Store.tasks: process id and command."""
        return np.asarray(self._column("task"))

    @cached_property
    def pid(self) -> I4:
        """Process id, -1 unknown."""
        pids = np.array([pid for pid, _ in self._names.tasks], np.int32)
        return pids[self.task]

    @cached_property
    def cpu(self) -> I4:
        """Processor, -1 unknown."""
        cpu: I4 = self._column("cpu").astype(np.int32)
        cpu[cpu == 0xFFFF] = NONE
        return cpu

    @cached_property
    def lost(self) -> U8:
        """Packets lost just before this one."""
        lost = np.zeros(len(self), np.uint64)
        for row, count in list(self._chunk.lost.items()):
            if self._start <= row < self._stop:
                lost[row - self._start] = count
        return lost

    # ---- headers ----

    @cached_property
    def _headers(self) -> Headers:
        return headers(self._chunk, self._stop, self._store.flows).run(self._start, self._stop)

    @property
    def qrtr_type(self) -> U1:
        """Type of the QRTR packet, 255 for any above 254, 0 without a QRTR header."""
        return self._headers.packet

    @property
    def flow(self) -> U4:
        """Number of the flow in Store.flows; 0 where there is no header."""
        return self._headers.flow

    def _end(self, ends: U8) -> U8:
        return np.where(self.link == Link.QRTR, ends[self._headers.flow], np.uint64(0))

    @cached_property
    def source(self) -> U8:
        """Where QRTR packets come from, port << 32 | node; 0 where there is no QRTR header."""
        return self._end(self._store.flows.source)

    @cached_property
    def target(self) -> U8:
        """Where QRTR packets go, the same way."""
        return self._end(self._store.flows.target)

    @cached_property
    def src_node(self) -> U4:
        """Source node; 0 where there is no QRTR header."""
        return self.source.astype(np.uint32)

    @cached_property
    def src_port(self) -> U4:
        """Source port, the control port as `protocol.qrtr` widens it."""
        return (self.source >> np.uint64(32)).astype(np.uint32)

    @cached_property
    def dst_node(self) -> U4:
        """Destination node."""
        return self.target.astype(np.uint32)

    @cached_property
    def dst_port(self) -> U4:
        """Destination port."""
        return (self.target >> np.uint64(32)).astype(np.uint32)

    @cached_property
    def plain(self) -> Mask:
        """Which frames are regular QMI messages from the first byte to the last."""
        other = np.array([server is not None and server.service in qmi.NOT_QMI for server in self._tracker.offered])
        return self._headers.plain & ~other[self.server] if other.any() else self._headers.plain

    @cached_property
    def transfers(self) -> Transfers | None:
        """What USB requests carry, as far as that is quickly said; None where there are none."""
        if not (self.link - np.uint8(min(USB_LINKS)) < np.uint8(len(USB_LINKS))).any():
            return None
        found = Transfers(*(np.full(len(self), value) for value in (False, False, NONE, NONE, NONE, NONE)))
        for link in USB_LINKS:
            rows = np.flatnonzero(self.link == link)
            if not len(rows):
                continue
            place, length, orig_len = (
                column[rows].astype(np.int64) for column in (self.offset, self.length, self.orig_len)
            )
            idle, messages = survey(Rows(link, rows, self.buffer, place, length, orig_len))
            found.idle[idle] = True
            found.sure[messages.row] = ~np.isin(self.first + messages.row, self._tracker.usb.foreign_rows)
            found.service[messages.row] = messages.service & np.uint64(0xFF)
            found.type[messages.row], found.txn[messages.row] = messages.type, messages.txn
            found.msgid[messages.row] = messages.msgid
        return found

    @cached_property
    def message(self) -> I4:
        """Offset of the QMI header in the frame, -1 where the frame is not plain."""
        return np.where(self.plain, self._headers.message, np.int32(NONE))

    @cached_property
    def qmi_type(self) -> U1:
        """Request 0, response 1, indication 2; 255 where the frame is not plain."""
        return np.where(self.plain, self._headers.type, np.uint8(255))

    @property
    def compound(self) -> Mask:
        """The compound bit of a service message."""
        return self._headers.compound & self.plain

    @property
    def txn(self) -> U2:
        """Transaction; means nothing where the frame is not plain."""
        return self._headers.txn

    @property
    def msgid(self) -> U2:
        """Message id; means nothing where the frame is not plain."""
        return self._headers.msgid

    @cached_property
    def tlv_start(self) -> I8:
        """Where the TLVs begin in `buffer`; means nothing where the frame is not plain."""
        places: I8 = self.offset + self._headers.message + qmi.SERVICE_HEADER.size
        qmux = np.flatnonzero(self.link == Link.QMUX)
        ctl = qmux[self._store.flows.source[self._headers.flow[qmux]] == qmi.CTL]
        places[ctl] += qmi.CTL_HEADER.size - qmi.SERVICE_HEADER.size
        return places

    @cached_property
    def tlv_length(self) -> U2:
        """Bytes of all TLVs, 0 where the frame is not plain."""
        return np.where(self.plain, self._headers.tlv_length, np.uint16(0))

    @cached_property
    def tlvs(self) -> TlvIndex:
        """Every TLV of the plain messages."""
        chunk = self._chunk
        if not self._is_chunk:
            return self._index(np.flatnonzero(self.tlv_length))
        if chunk.tlvs is None:
            chunk.tlvs = self._index(np.flatnonzero(self.tlv_length))
        return chunk.tlvs

    def tlvs_of(self, rows: Mask) -> TlvIndex:
        """The TLVs of at least these rows, as far as they are plain."""
        chunk = self._chunk
        if chunk.tlvs is None or not self._is_chunk:
            if self._walked is not None and not (rows & ~self._walked[0]).any():
                return self._walked[1]
            wanted = np.flatnonzero(rows & (self.tlv_length > 0))
            # Rows are walked again for each who asks, until that has cost as much as walking all of them once.
            if chunk.walked + len(wanted) < chunk.count or not self._is_chunk:
                chunk.walked += len(wanted)
                self._walked = rows.copy(), self._index(wanted)
                return self._walked[1]
        return self.tlvs

    def _index(self, rows: I8) -> TlvIndex:
        at = self.tlv_start[rows]
        return TlvIndex(self.buffer, len(self), rows, at, at + self.tlv_length[rows])

    @property
    def _is_chunk(self) -> bool:
        """Whether these are all rows of a chunk to which none will be added."""
        return self._chunk.full and self._start == 0 and self._stop == self._chunk.count

    # ---- what the tracker knows ----

    @cached_property
    def server(self) -> U4:
        """Number of the QRTR server in Tracker.offered, 0 unknown."""
        return np.frombuffer(self._tracker.server_column[self.first : self.first + len(self)], np.uint32)

    def _offered(self, part: int) -> I8:
        return np.array([server[part] if server else NONE for server in self._tracker.offered], np.int64)

    @cached_property
    def service(self) -> I8:
        """Service the dissector names: of the QRTR port, or in the QMUX header; -1 unknown."""
        service: I8 = self._offered(0)[self.server]
        qmux = (self.link == Link.QMUX) & self._headers.plain
        service[qmux] = self._store.flows.source[self._headers.flow[qmux]]
        return service

    @cached_property
    def instance(self) -> I8:
        """Instance word of the QRTR server, -1 unknown."""
        return self._offered(1)[self.server]

    @cached_property
    def partner(self) -> I8:
        """Row of the response of a request, of the request of a response; -1 none (yet)."""
        return np.frombuffer(self._tracker.partner_column[self.first : self.first + len(self)], np.int32).astype(
            np.int64
        )

    @cached_property
    def response_ns(self) -> I8:
        """Nanoseconds since the request, of a response that has one (its partner comes before it); else -1."""
        rows = np.arange(self.first, self.first + len(self))
        paired = (self.partner != NONE) & (self.partner < rows)
        result = np.full(len(self), NONE, np.int64)
        if paired.any():
            low = int(self.partner[paired].min())
            asked = np.frombuffer(self._tracker.ts_column[low : self.first + len(self)], np.int64)
            result[paired] = self.ts_ns[paired] - asked[self.partner[paired] - low]
        return result

    # ---- bytes ----

    def take(self, places: I8, size: int) -> U1:
        """`size` bytes at each of these places of `buffer`, a row each. The places must lie so far from its end."""
        if not len(places):
            return np.empty((0, size), np.uint8)
        anywhere = np.ndarray(len(self.buffer) - size + 1, f"V{size}", self.buffer, strides=(1,))
        return anywhere[places].view(np.uint8).reshape(len(places), size)


class Transfers(NamedTuple):
    """USB requests: which carry no message for sure; which carry one alone for sure, and what its header says."""

    idle: Mask
    sure: Mask
    service: I8
    type: I8  # as in qmi.Header
    txn: I8
    msgid: I8


def headers(chunk: Chunk, stop: int, flows: Flows) -> Headers:
    """The header columns of a chunk's rows, read at least up to `stop`; the chunk keeps them."""
    known, done = chunk.headers or (Headers.empty(CAPACITY), 0)
    if done < stop:
        # A file's chunk comes with its headers.
        assert isinstance(chunk.buffer, bytearray)
        offset, length, link = (np.asarray(chunk.columns[name])[done:stop] for name in ("offset", "length", "link"))
        buffer = np.frombuffer(chunk.buffer, np.uint8)
        read_headers(buffer, offset.astype(np.int64), length, link, flows, known.run(done, stop))
        chunk.headers = known, stop
    return known
