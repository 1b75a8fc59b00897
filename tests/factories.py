# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes any packet or frame in one call, so that a test shows only what it is about."""

from __future__ import annotations

import struct

from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin

DATA, HELLO, BYE, NEW_SERVER, DEL_SERVER, DEL_CLIENT, RESUME_TX, NEW_LOOKUP = 1, 2, 3, 4, 5, 6, 7, 10
CTRL = 0xFFFFFFFE
MODEM = 0  # node
HOST = 1
START_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00:00 UTC


def tlv(kind: int, value: bytes) -> bytes:
    """One QMI TLV."""
    return struct.pack("<BH", kind, len(value)) + value


def qmi(kind: int, txn: int, message: int, *tlvs: bytes) -> bytes:
    """A QMI service message; `kind` is 0 request, 2 response, 4 indication."""
    body = b"".join(tlvs)
    return struct.pack("<BHHH", kind, txn, message, len(body)) + body


def qrtr(
    payload: bytes,
    source: tuple[int, int] = (HOST, 0x4001),
    target: tuple[int, int] = (MODEM, 10),
    kind: int = DATA,
    confirm: int = 0,
) -> bytes:
    """A QRTR packet with header version 1 and its padding."""
    head = struct.pack("<8I", 1, kind, *source, confirm, len(payload), *target)
    return head + payload + bytes(-len(payload) % 4)


def server(kind: int, service: int, instance: int, node: int, port: int) -> bytes:
    """A control packet of the server form, from the node's name server to ours."""
    return qrtr(struct.pack("<5I", kind, service, instance, node, port), (node, CTRL), (HOST, CTRL), kind)


def frame(
    data: bytes,
    at_ms: float = 0,
    direction: Direction = Direction.OUTBOUND,
    hook: Hook = Hook.TRANSMIT,
    pid: int = 321,
    comm: str = "qmicli",
    link: Link = Link.QRTR,
    flags: Flag = Flag(0),
    lost: int = 0,
    origin: Origin = Origin("kernel", "kernel", "mono", "test"),
) -> Frame:
    """A frame as the kernel tap makes it, `at_ms` milliseconds after the start of time."""
    ts = START_NS + int(at_ms * 1_000_000)
    return Frame(ts, data, len(data), link, direction, hook, flags, pid, comm, 0, lost, origin)
