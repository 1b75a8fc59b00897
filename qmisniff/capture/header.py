# SPDX-License-Identifier: GPL-2.0-or-later
"""QRTR headers written by the capture itself: for packets tapped without one, and for the name service's answers.

Layout: struct qrtr_hdr_v1 of net/qrtr/af_qrtr.c and struct qrtr_ctrl_pkt of include/uapi/linux/qrtr.h.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# version, type, source node and port, confirm_rx, size, destination node and port
_V1 = struct.Struct("<IIIIIIII")
SIZE = _V1.size

AF_QIPCRTR = 42  # socket.AF_QIPCRTR is missing from a Python built without it
DATA, HELLO, BYE, NEW_SERVER, DEL_SERVER, DEL_CLIENT, RESUME_TX, EXIT, PING, NEW_LOOKUP, DEL_LOOKUP = range(1, 12)
LOCAL_NODE = 1  # what Linux calls itself unless told otherwise: qrtr_local_nid of net/qrtr/af_qrtr.c
PORT_CTRL = 0xFFFFFFFE
NODE_BCAST = 0xFFFFFFFF

# command, then a server: service, instance, node, port
_CONTROL = struct.Struct("<IIIII")
CONTROL_SIZE = _CONTROL.size


class Address(NamedTuple):
    """One end of a packet."""

    node: int
    port: int


def header(kind: int, source: Address, destination: Address, size: int) -> bytes:
    """A version 1 header for `size` bytes of payload."""
    return routed((kind, *source, *destination), size)


def routed(route: tuple[int, ...], size: int) -> bytes:
    """The same of five numbers: type, source node and port, destination node and port."""
    return _V1.pack(1, *route[:3], 0, size, *route[3:])


def padding(size: int) -> bytes:
    """The zeros that a packet of `size` bytes of payload ends with."""
    return bytes(-size % 4)


def server(command: int, service: int, instance: int, where: Address) -> bytes:
    """The payload of a control packet about a server."""
    return _CONTROL.pack(command, service, instance, *where)
