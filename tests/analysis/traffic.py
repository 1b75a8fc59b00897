# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures in which anything may happen, and what one frame after the other says about them.

`read` is the reference: it decodes every frame by itself and knows no columns.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.frame import Direction, Flag, Frame, Hook, Link
from qmisniff.protocol import qrtr
from qmisniff.store import Store
from tests import factories as make

DEL_LOOKUP = 11
PORTS = (10, 11, 0x4001, 0x4002)
NODES = (make.MODEM, make.HOST)
SERVICES = (2, 3, 4096, 4097)  # DMS, NAS, TFTP, DIAG
EMPTY = len(make.qrtr(b""))
GET_IDS, GET_SIGNAL_INFO = 0x25, 0x4F  # of DMS, of NAS

addresses = st.tuples(st.sampled_from(NODES), st.sampled_from(PORTS))
RESULTS = (
    make.tlv(2, bytes(4)),
    make.tlv(2, struct.pack("<HH", 1, 3)),
    make.tlv(2, struct.pack("<HH", 1, 0)),
    make.tlv(2, b"\1\0"),  # too short
    make.tlv(2, bytes(4)) * 2,
    make.tlv(2, bytes(4)) + make.tlv(2, b"\1\0\3\0"),
    b"",
)


@st.composite
def control(draw: st.DrawFn) -> tuple[Link, bytes]:
    """A control packet, or the same as data between a program and its name service."""
    kinds = (make.NEW_SERVER,) * 3 + (make.NEW_LOOKUP,) * 2 + (make.DEL_SERVER, make.DEL_CLIENT, DEL_LOOKUP, make.HELLO)
    kind = draw(st.sampled_from((*kinds, make.BYE)))
    node, port = draw(addresses)
    sender = draw(st.sampled_from([(node, make.CTRL), (node, port), (make.HOST, make.CTRL)]))
    words = (node, port, 0, 0)
    if kind in (make.NEW_SERVER, make.DEL_SERVER, make.NEW_LOOKUP, DEL_LOOKUP):
        words = (draw(st.sampled_from((0, *SERVICES))), draw(st.sampled_from((0, 1, 257))), node, port)
    as_data = draw(st.booleans()) if kind in (make.NEW_SERVER, make.NEW_LOOKUP, DEL_LOOKUP) else False
    data = struct.pack("<5I", kind, *words)
    return Link.QRTR, make.qrtr(data, sender, (make.HOST, make.CTRL), make.DATA if as_data else kind)


@st.composite
def message(draw: st.DrawFn) -> tuple[Link, bytes]:
    """A message or a datagram in a frame of its own, now and then damaged."""
    kind = draw(st.sampled_from((0, 0, 2, 2, 4, 6)))
    lte = make.tlv(0x14, struct.pack("<bbhh", -60, -10, draw(st.integers(-120, -60)), 5))
    tlvs = draw(st.sampled_from(RESULTS)) if kind == 2 else b""
    body = make.qmi(kind, draw(st.integers(1, 2)), draw(st.sampled_from((GET_IDS, GET_SIGNAL_INFO))), tlvs,
                    draw(st.sampled_from((b"", lte, make.tlv(0x99, b"x")))))  # fmt: skip
    match draw(st.integers(0, 11)):
        case 0:
            body = draw(st.sampled_from((b"\0\1x\0octet\0", b"\0\3\0\1data", bytes(40))))
        case 1:
            body = body[: draw(st.integers(0, len(body)))]
        case 2:
            body += bytes(draw(st.integers(1, 9)))
        case 3 | 4:
            flags = 0 if kind == 0 else 0x80
            head = struct.pack(
                "<BHBBB", 1, len(body) + 5, flags, draw(st.sampled_from((2, 3))), draw(st.integers(1, 2))
            )
            return Link.QMUX, (head + body)[: draw(st.sampled_from((-1, -1, 9, 3))) % (len(body) + 7)]
    return Link.QRTR, make.qrtr(body, draw(addresses), draw(addresses))


@st.composite
def frame(draw: st.DrawFn) -> Frame:
    link, data = draw(st.one_of(control(), message(), message()))
    return make.frame(
        data,
        draw(st.integers(0, 2000)),
        draw(st.sampled_from(Direction)),
        draw(st.sampled_from((Hook.LOCAL, Hook.TRANSMIT, Hook.RECEIVE, Hook.SENT, Hook.RECEIVED))),
        draw(st.integers(-1, 3)),
        draw(st.sampled_from(("", "qmicli", "rild"))),
        link,
        draw(st.sampled_from((Flag(0), Flag.SYNTHETIC))),
    )


frames = st.lists(frame(), max_size=40)


few = settings(max_examples=40, deadline=None)  # examples are captures: each holds many cases


@st.composite
def captures(draw: st.DrawFn) -> tuple[Store, list[int]]:
    """A store and some of its rows."""
    store = filled(draw(frames))
    rows = range(len(store))
    if draw(st.booleans()):
        return store, list(rows)
    return store, [row for row in rows if draw(st.integers(0, 3))]


def filled(made: list[Frame]) -> Store:
    store = Store()
    store.extend(made)
    return store


@cache
def dissector() -> Dissector:
    """The shipped definitions, read once."""
    return Dissector(open_registry())


class Seen(NamedTuple):
    """What a frame says to somebody who looks at nothing else: a message or a datagram. Ends are texts."""

    row: int
    kind: int  # 255 for a datagram
    service: int
    msgid: int
    result: int
    error: int
    source: str
    target: str


def read(store: Store, rows: list[int]) -> list[Seen]:
    """The messages and datagrams of these rows."""
    return [seen for row in rows if (seen := _read(store, row)) is not None]


def _read(store: Store, row: int) -> Seen | None:
    values = dissector().values(store.frame(row), store.context(row))
    if "qrtr.ctrl.cmd" in values or values.get("qrtr.type", qrtr.DATA) != qrtr.DATA:
        return None
    if "qrtr.dst_port" in values:
        ends = [f"{values[f'qrtr.{end}_node']}:{values[f'qrtr.{end}_port']}" for end in ("src", "dst")]
    elif "qmi.type" in values:
        ends = [f"client {values['qmux.service']}:{values['qmux.client']}", f"server {values['qmux.service']}"]
        ends = ends if first(values["qmi.type"]) == 0 else ends[::-1]
    else:
        return None
    whole = "qmi.type" in values
    known = store.context(row).service
    return Seen(
        row, min(first(values["qmi.type"]), 3) if whole else 255,
        first(values.get("qmi.service", -1 if known is None else known)), first(values["qmi.msgid"]) if whole else -1,
        first(values.get("qmi.result", -1)), first(values.get("qmi.error", -1)), *ends,
    )  # fmt: skip


def first(value: Any) -> int:
    return int(value[0] if isinstance(value, list) else value)


def end_name(end: int) -> str:
    """An address of Packets as `Seen` writes it."""
    node, rest = end >> 32, end & 0xFFFFFFFF
    if node & ~1 == 0xFFFFFFF0:
        return f"server {rest >> 8}" if node & 1 else f"client {rest >> 8}:{rest & 0xFF}"
    return f"{node}:{rest}"


def with_payload(store: Store, rows: list[int]) -> list[int]:
    """The rows without packets that carry not a byte: no field says of which service those are."""
    return [row for row in rows if store.frame(row).link is not Link.QRTR or len(store.frame(row).data) > EMPTY]
