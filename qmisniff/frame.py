# SPDX-License-Identifier: GPL-2.0-or-later
"""One captured packet and where it came from: the types that everything else shares."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple


class Link(IntEnum):
    """What the first byte of a frame's data is. The numbers are stored in captures: never renumber."""

    QRTR = 0  # QRTR header v1 or v2, then payload
    QMUX = 1  # QMUX marker 0x01, then a QMI message
    QMI = 2  # a bare QMI message, service unknown
    MBIM = 3  # an MBIM control message
    # Records of USB requests, from their header on. They are saved with a link type of their own, as they came.
    USBMON = 4  # Linux, header of 48 bytes
    USBMON_MMAPPED = 5  # Linux, header of 64 bytes
    USBPCAP = 6  # Windows
    OTHER = 255  # none of ours: kept as bytes, so that frame numbers stay Wireshark's


USB_LINKS = frozenset({Link.USBMON, Link.USBMON_MMAPPED, Link.USBPCAP})


class Direction(IntEnum):
    """Seen from the processor the capture runs on. Values are those of pcapng's epb_flags."""

    UNKNOWN = 0  # between two ports of this node, or not said
    INBOUND = 1
    OUTBOUND = 2


class Hook(IntEnum):
    """Where in the kernel (or elsewhere) a frame was seen. The numbers are stored in captures: never renumber."""

    NONE = 0
    RECEIVE = 1  # qrtr_endpoint_post: from another node
    TRANSMIT = 2  # an endpoint's xmit function or qrtr_node_enqueue: to another node
    LOCAL = 3  # qrtr_local_enqueue: between ports of this node
    LOOKUP = 4  # an answer of the name service, written by the capture itself
    SENT = 5  # a process' call that sent it, followed by strace
    RECEIVED = 6  # a process' call that received it


class Flag(IntFlag):
    """What must be known about a frame's bytes before they are believed. Stored in captures: never renumber."""

    SYNTHETIC = 1  # never on a wire: written by the capture (service lookup)
    TRUNCATED = 2  # data is shorter than orig_len
    HEADER_REBUILT = 4  # the QRTR header was not in the tapped memory, it was rebuilt from addresses told beside


class Origin(NamedTuple):
    """What captured a frame; one per pcapng interface block."""

    backend: str = ""  # kernel, lookup, file, ...
    name: str = ""  # what `qmisniff interfaces` calls it
    clock: str = ""  # the clock that stamped the frames, e.g. "mono+boot offset"
    note: str = ""  # kernel release, probes used


class Frame(NamedTuple):
    """One captured packet.

    `ts_ns` is nanoseconds since 1970; `lost` is how many packets this source is known to have dropped just before
    this one; `pid` is -1 and `cpu` is -1 where unknown.
    """

    ts_ns: int
    data: bytes
    orig_len: int
    link: Link = Link.QRTR
    direction: Direction = Direction.UNKNOWN
    hook: Hook = Hook.NONE
    flags: Flag = Flag(0)
    pid: int = -1
    comm: str = ""
    cpu: int = -1
    lost: int = 0
    origin: Origin = Origin()
