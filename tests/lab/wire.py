# SPDX-License-Identifier: GPL-2.0-or-later
"""QRTR packets and QMI messages made and read by the lab's own programs, and the log of them.

Deliberately apart from qmisniff: it is the second opinion that captures are compared with. Layouts: net/qrtr/af_qrtr.c
and include/uapi/linux/qrtr.h for QRTR; drivers/soc/qcom/qmi_encdec.c for QMI. All integers are little-endian.
"""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

DATA, HELLO, BYE, NEW_SERVER, DEL_SERVER, DEL_CLIENT, RESUME_TX, EXIT, PING, NEW_LOOKUP, DEL_LOOKUP = range(1, 12)
PORT_CTRL = 0xFFFFFFFE
REQUEST, RESPONSE, INDICATION = 0, 2, 4
RESULT = 0x02  # the TLV that every response has

# Version, type, source node and port, confirm_rx, size, destination node and port.
HEADER_V1 = struct.Struct("<IIIIIIII")
# Version 3, type, flags, option bytes, size, source and destination as above.
HEADER_V2 = struct.Struct("<BBBBIHHHH")
CONTROL = struct.Struct("<IIIII")  # command, then service, instance, node, port or client node, client port, 0, 0
MESSAGE = struct.Struct("<BHHH")  # flags, transaction, message, bytes of TLVs
TLV = struct.Struct("<BH")

Tlvs = dict[int, bytes]


class Address(NamedTuple):
    """A node and a port: what AF_QIPCRTR sockets take for an address."""

    node: int
    port: int


class Packet(NamedTuple):
    """A QRTR packet without its header's version."""

    type: int
    source: Address
    destination: Address
    payload: bytes
    confirm_rx: bool = False


class Message(NamedTuple):
    """A QMI message; `flags` is REQUEST, RESPONSE or INDICATION."""

    flags: int
    transaction: int
    id: int
    tlvs: Tlvs


def pack_v1(packet: Packet) -> bytes:
    """The packet with a version 1 header (32 bytes), padded to a multiple of 4."""
    header = HEADER_V1.pack(1, packet.type, *packet.source, packet.confirm_rx, len(packet.payload), *packet.destination)
    return header + _padded(packet.payload)


def pack_v2(packet: Packet, options: bytes = b"") -> bytes:
    """The packet with a version 2 header (16 bytes and `options`), padded; ports and nodes must be below 65536."""
    size = len(packet.payload)
    ends = (*packet.source, *packet.destination)
    header = HEADER_V2.pack(3, packet.type, int(packet.confirm_rx), len(options), size, *ends)
    return header + options + _padded(packet.payload)


def unpack_v1(data: bytes) -> Packet:
    """The packet that Linux sent; ValueError when it has no version 1 header or not the length that it says."""
    if len(data) < HEADER_V1.size:
        raise ValueError(f"{len(data)} bytes are no QRTR packet")
    version, kind, src_node, src_port, confirm_rx, size, dst_node, dst_port = HEADER_V1.unpack_from(data)
    payload = data[HEADER_V1.size : HEADER_V1.size + size]
    if version != 1 or len(data) != HEADER_V1.size + len(_padded(payload)) or len(payload) != size:
        raise ValueError(f"QRTR version {version}, size {size} in a packet of {len(data)} bytes")
    return Packet(kind, Address(src_node, src_port), Address(dst_node, dst_port), payload, bool(confirm_rx))


def pack_message(message: Message) -> bytes:
    """The message as it stands in a DATA packet."""
    body = b"".join(TLV.pack(number, len(value)) + value for number, value in message.tlvs.items())
    return MESSAGE.pack(message.flags, message.transaction, message.id, len(body)) + body


def unpack_message(data: bytes) -> Message:
    """The message of a DATA packet; ValueError when lengths do not add up."""
    if len(data) < MESSAGE.size:
        raise ValueError(f"{len(data)} bytes are no QMI message")
    flags, transaction, number, length = MESSAGE.unpack_from(data)
    if MESSAGE.size + length != len(data):
        raise ValueError(f"QMI message of {length} bytes of TLVs in {len(data)} bytes")
    tlvs: Tlvs = {}
    offset = MESSAGE.size
    while offset < len(data):
        if offset + TLV.size > len(data):
            raise ValueError(f"half a TLV at {offset}")
        kind, size = TLV.unpack_from(data, offset)
        offset += TLV.size
        if offset + size > len(data):
            raise ValueError(f"TLV 0x{kind:02x} of {size} bytes runs over the end")
        tlvs[kind] = data[offset : offset + size]
        offset += size
    return Message(flags, transaction, number, tlvs)


def result(error: int = 0) -> Tlvs:
    """The result TLV: success, or failure with a QMI protocol error."""
    return {RESULT: struct.pack("<HH", bool(error), error)}


class PacketLog:
    """One JSON object a line: `t` in nanoseconds of CLOCK_MONOTONIC, `dir` rx or tx as the logging program sees it,
    `hex` the bytes, and what else the program knows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="ascii", buffering=1)

    def add(self, direction: str, data: bytes, **more: object) -> None:
        """Write one line at once, so that nothing is lost when the program is killed."""
        line = {"t": time.monotonic_ns(), "dir": direction, "hex": data.hex(), **more}
        self._file.write(json.dumps(line) + "\n")


class LogLine(NamedTuple):
    """One line of a PacketLog; what else the program knew is in `more`."""

    t: int
    direction: str
    data: bytes
    more: dict[str, Any]


def read_log(path: Path) -> list[LogLine]:
    """The lines of a PacketLog, in the order they were written."""
    lines = []
    for text in path.read_text(encoding="ascii").splitlines():
        line = json.loads(text)
        lines.append(LogLine(line.pop("t"), line.pop("dir"), bytes.fromhex(line.pop("hex")), line))
    return lines


def _padded(payload: bytes) -> bytes:
    return payload + bytes(-len(payload) % 4)
