# SPDX-License-Identifier: GPL-2.0-or-later
"""QRTR, the Qualcomm IPC router protocol: packet headers and control packets.

Layouts: Linux net/qrtr/af_qrtr.c (struct qrtr_hdr_v1, qrtr_hdr_v2) and include/uapi/linux/qrtr.h (struct
qrtr_ctrl_pkt). The older Qualcomm IPC router (AF_MSM_IPC) puts the same bytes on the wire under other names.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol import instances
from qmisniff.protocol.layout import Item, Layout, Row

NODE_BROADCAST = 0xFFFFFFFF
PORT_CONTROL = 0xFFFFFFFE
CONTROL_PORTS = frozenset({PORT_CONTROL, 0xFFFFFFFF, 0x0000FFFF})  # today's, early senders', the IPC router's

DATA, HELLO, BYE, NEW_SERVER, DEL_SERVER, DEL_CLIENT, RESUME_TX = 1, 2, 3, 4, 5, 6, 7
EXIT, PING, NEW_LOOKUP, DEL_LOOKUP, DEL_PROC = 8, 9, 10, 11, 13

TYPES = {
    DATA: "DATA",
    HELLO: "HELLO",
    BYE: "BYE",
    NEW_SERVER: "NEW_SERVER",
    DEL_SERVER: "DEL_SERVER",
    DEL_CLIENT: "DEL_CLIENT",
    RESUME_TX: "RESUME_TX",
    EXIT: "EXIT",
    PING: "PING",
    NEW_LOOKUP: "NEW_LOOKUP",
    DEL_LOOKUP: "DEL_LOOKUP",
    DEL_PROC: "DEL_PROC",
}
_NODES = {NODE_BROADCAST: "BCAST"}
_PORTS = {PORT_CONTROL: "CTRL", 0xFFFFFFFF: "CTRL", 0x0000FFFF: "CTRL"}
_VERSIONS = {1: "v1", 3: "v2"}

V1 = Layout(
    "qrtr",
    [
        Item("version", 4, "Version", labels=_VERSIONS),
        Item("type", 4, "Type", labels=TYPES),
        Item("src_node", 4, "Source node", labels=_NODES),
        Item("src_port", 4, "Source port", hex=True, labels=_PORTS),
        Item("confirm_rx", 4, "Confirm reception"),
        Item("size", 4, "Payload size"),
        Item("dst_node", 4, "Destination node", labels=_NODES),
        Item("dst_port", 4, "Destination port", hex=True, labels=_PORTS),
    ],
)
V2 = Layout(
    "qrtr",
    [
        Item("version", 1, "Version", labels=_VERSIONS),
        Item("type", 1, "Type", labels=TYPES),
        Item("flags", 1, "Flags", hex=True),
        Item("optlen", 1, "Options length"),
        Item("size", 4, "Payload size"),
        Item("src_node", 2, "Source node"),
        Item("src_port", 2, "Source port", hex=True, labels=_PORTS),
        Item("dst_node", 2, "Destination node"),
        Item("dst_port", 2, "Destination port", hex=True, labels=_PORTS),
    ],
)
CONFIRM_RX = FieldSpec("qrtr.confirm_rx", "Confirm reception", Kind.UINT, 1)
OPTIONS = FieldSpec("qrtr.options", "Options", Kind.BYTES)
PADDING = FieldSpec("qrtr.padding", "Padding", Kind.BYTES)
NODE = FieldSpec("qrtr.node", "Source or destination node", Kind.UINT, 4, labels=_NODES)
PORT = FieldSpec("qrtr.port", "Source or destination port", Kind.UINT, 4, hex=True, labels=_PORTS)
# Fields that no tree shows: their values are those of two others, source and destination.
ENDS = {NODE.name: ("qrtr.src_node", "qrtr.dst_node"), PORT.name: ("qrtr.src_port", "qrtr.dst_port")}
OTHER_SERVICE = FieldSpec("qrtr.service", "Service", Kind.UINT)  # of a data packet that is not QMI


class Header(NamedTuple):
    """A packet header of either version; `payload` is where the payload begins, `size` its bytes without padding."""

    type: int
    src_node: int
    src_port: int
    dst_node: int
    dst_port: int
    confirm_rx: bool
    payload: int
    size: int


def parse_header(data: bytes) -> Header | None:
    """The header of a QRTR packet, None where `data` is too short or begins with neither version's number."""
    version = data[0] if data else 0
    if version == 1 and len(data) >= V1.size:
        _, kind, src_node, src_port, confirm, size, dst_node, dst_port = V1.struct.unpack_from(data)
        return Header(kind, src_node, src_port, dst_node, dst_port, confirm != 0, V1.size, size)
    if version == 3 and len(data) >= V2.size:
        _, kind, flags, optlen, size, src_node, src_port, dst_node, dst_port = V2.struct.unpack_from(data)
        return Header(
            kind, src_node, wide_port(src_port), dst_node, wide_port(dst_port), flags & 1 == 1, V2.size + optlen, size
        )
    return None


def wide_port(port: int) -> int:
    """A 16-bit port of a version 2 header as the kernel widens it."""
    return PORT_CONTROL if port == 0xFFFE else port


def header_rows(data: bytes) -> list[Row]:
    """The fields of the header; fewer where the packet ends inside it."""
    if data[:1] == b"\x01":
        return V1.rows(data, 0, len(data))
    if data[:1] != b"\x03":
        return []
    rows = [
        (spec, wide_port(value), offset, size)
        if isinstance(value, int) and spec.name.endswith("_port")
        else (spec, value, offset, size)
        for spec, value, offset, size in V2.rows(data, 0, len(data))
    ]
    if len(rows) > 2:
        rows.insert(3, (CONFIRM_RX, data[2] & 1, 2, 1))
    if len(data) > V2.size and data[3]:
        options = data[V2.size : V2.size + data[3]]
        rows.append((OPTIONS, options, V2.size, len(options)))
    return rows


class Control(NamedTuple):
    """The five words of a control packet; which of them mean something depends on `cmd`."""

    cmd: int
    service: int
    instance: int
    node: int
    port: int


_WORDS = struct.Struct("<5I")
_SERVICE_AND_INSTANCE = struct.Struct("<2I")
_COMMAND = FieldSpec("qrtr.ctrl.cmd", "Command", Kind.UINT, 4, labels=TYPES)
SERVICE = FieldSpec("qrtr.ctrl.service", "Service", Kind.UINT, 4)
_NODE = FieldSpec("qrtr.ctrl.node", "Node", Kind.UINT, 4, labels=_NODES)
_PORT = FieldSpec("qrtr.ctrl.port", "Port", Kind.UINT, 4, hex=True, labels=_PORTS)
_CHECKSUM = FieldSpec("qrtr.ctrl.checksum", "Checksum", Kind.UINT, 4, hex=True)
_MAGIC = FieldSpec("qrtr.ctrl.magic", "Magic", Kind.UINT, 4, hex=True)
_CAPABILITY = FieldSpec("qrtr.ctrl.capability", "Capability", Kind.UINT, 4, hex=True)
CONTROL_SPECS = (_COMMAND, SERVICE, *instances.SPECS, _NODE, _PORT, _CHECKSUM, _MAGIC, _CAPABILITY)

_SERVER_FORM = (
    (_COMMAND, 0, 4), (SERVICE, 4, 4), (instances.VERSION, 8, 1), (instances.INSTANCE, 9, 3), (_NODE, 12, 4),
    (_PORT, 16, 4),
)  # fmt: skip
_CLIENT_FORM = ((_COMMAND, 0, 4), (_NODE, 4, 4), (_PORT, 8, 4))
UNKNOWN_FORM = ((_COMMAND, 0, 4),)
FORMS = {
    HELLO: ((_COMMAND, 0, 4), (_MAGIC, 4, 4), (_CAPABILITY, 8, 4)),
    BYE: _CLIENT_FORM,
    NEW_SERVER: _SERVER_FORM,
    DEL_SERVER: _SERVER_FORM,
    DEL_CLIENT: _CLIENT_FORM,
    RESUME_TX: _CLIENT_FORM,
    NEW_LOOKUP: _SERVER_FORM,
    DEL_LOOKUP: _SERVER_FORM,
    DEL_PROC: ((_COMMAND, 0, 4), (_CHECKSUM, 4, 4), (_NODE, 8, 4)),
}


def parse_control(data: bytes, offset: int = 0) -> Control | None:
    """The control packet at `offset`, None where fewer than 20 bytes are left. A client form's node and port are in
    `service` and `instance`: see `control_address`."""
    if len(data) - offset < _WORDS.size:
        return None
    return Control(*_WORDS.unpack_from(data, offset))


def control_address(control: Control) -> tuple[int, int]:
    """The node and port a control packet speaks of, wherever its form keeps them."""
    if control.cmd in (BYE, DEL_CLIENT, RESUME_TX):
        return control.service, control.instance
    return control.node, control.port


def control_rows(data: bytes, offset: int, end: int) -> list[Row]:
    """The fields of the control packet in `data[offset:end]`, as many as fit; the form follows its command."""
    command = int.from_bytes(data[offset : min(offset + 4, end)], "little")
    rows: list[Row] = []
    for spec, at, size in FORMS.get(command, UNKNOWN_FORM):
        if offset + at + size > end:
            break
        if spec is instances.INSTANCE:
            service, word = _SERVICE_AND_INSTANCE.unpack_from(data, offset + 4)
            rows += instances.instance_rows(service, word, offset + 8)
        else:
            value = int.from_bytes(data[offset + at : offset + at + size], "little")
            rows.append((spec, value, offset + at, size))
    return rows
