# SPDX-License-Identifier: GPL-2.0-or-later
"""USB captures as usbmon and USBPcap write them: records of control, interrupt and bulk transfers of a bus.

Layouts: Linux Documentation/usb/usbmon.rst; desowin.org/usbpcap/captureformat.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from qmisniff.protocol import mbim

USBMON, USBMON_MMAPPED, USBPCAP = 189, 220, 249
LINK_TYPES = (USBMON, USBMON_MMAPPED, USBPCAP)
ISOCHRONOUS, INTERRUPT, CONTROL, BULK = range(4)
IN = 0x80
SEND, GET = (0x21, 0x00), (0xA1, 0x01)
INTERFACE = 8
_TICK_US = 1000


class Record(NamedTuple):
    """A record of a capture file; `left_out` bytes at its end were not captured."""

    data: bytes
    left_out: int = 0


def setup(code: tuple[int, int], length: int, value: int = 0, index: int = INTERFACE) -> bytes:
    """A setup packet; `code` is bmRequestType and bRequest."""
    return struct.pack("<BBHHH", *code, value, index, length)


class Bus:
    """Makes the records of transfers to and from one device; `order` is the byte order of usbmon's machine."""

    def __init__(self, link_type: int, device: int = 5, bus: int = 1, order: str = "<") -> None:
        self.link_type = link_type
        self.order = order
        self.device = device
        self.bus = bus
        self._next_id = device << 32

    def record(
        self, transfer: int, endpoint: int, number: int, done: bool, head: bytes = b"", data: bytes = b""
    ) -> bytes:
        """One record: a submission or a completion, with a setup packet or without, with data or without."""
        if self.link_type == USBPCAP:
            size, stage = (27, b"") if transfer != CONTROL else (28, bytes([3 if done else 0]))
            return (
                struct.pack(
                    "<HQIHBHHBBI", size, number, 0, 8 if transfer == CONTROL else 9, int(done), self.bus, self.device,
                    endpoint, transfer, len(head) + len(data)
                )
                + stage
                + head
                + data
            )  # fmt: skip
        begin = struct.pack(
            self.order + "QBBBBHBBqiiII", number, ord("C" if done else "S"), transfer, endpoint, self.device, self.bus,
            0 if head else ord("-"), 0 if data else ord("<"), 1_767_225_600, 0, 0 if done else -115, *2 * [len(data)]
        )  # fmt: skip
        return begin + head.ljust(8, b"\0") + (bytes(16) if self.link_type == USBMON_MMAPPED else b"") + data

    def number(self) -> int:
        """The id of another request."""
        self._next_id += 64
        return self._next_id

    def out(self, data: bytes, code: tuple[int, int] = SEND) -> list[Record]:
        """A control transfer to the device."""
        number = self.number()
        return [
            Record(self.record(CONTROL, 0, number, False, setup(code, len(data)), data)),
            Record(self.record(CONTROL, 0, number, True)),
        ]

    def get(self, data: bytes, code: tuple[int, int] = GET) -> list[Record]:
        """A control transfer from the device."""
        number = self.number()
        return [
            Record(self.record(CONTROL, IN, number, False, setup(code, 4096))),
            Record(self.record(CONTROL, IN, number, True, b"", data)),
        ]

    def notification(self) -> list[Record]:
        """RESPONSE_AVAILABLE on the interrupt endpoint."""
        data = struct.pack("<BBHHH", *GET, 0, INTERFACE, 0)
        return [Record(self.record(INTERRUPT, IN | 1, self.number(), True, b"", data))]

    def isochronous(self, number: int, data: bytes, claimed: int) -> list[Record]:
        """A transfer with so many descriptors, of which `claimed` are said to be there."""
        descriptors = b"".join(struct.pack(self.order + "iIII", -18, 100 * at, 100, at) for at in range(number))
        head = struct.pack(self.order + "II", 3, claimed)
        body = self.record(ISOCHRONOUS, IN | 3, self.number(), True, head, descriptors + data)
        if self.link_type == USBMON_MMAPPED:
            rest = struct.pack(self.order + "IIII", 8, 1234, 0x200, claimed)
            body = body[:48] + rest + body[64:]
        return [Record(body)]

    def bulk(self, data: bytes) -> list[Record]:
        """Data of a bulk endpoint."""
        return [Record(self.record(BULK, IN | 2, self.number(), True, b"", data))]


def cut(record: Record, size: int) -> Record:
    """The record as a capture with a snap length leaves it."""
    return Record(record.data[:size], max(0, len(record.data) - size))


def pieces(data: bytes, *places: int) -> list[bytes]:
    """The data in parts that begin at these places."""
    return [data[start:stop] for start, stop in zip((0, *places), (*places, len(data)), strict=True)]


def in_mbim(kind: int, buffer: bytes, txn: int = 7, fragment: int = 0) -> list[bytes]:
    """QMUX frames as the buffer of an MBIM message, in fragments of so many bytes where that is not 0."""
    words = {mbim.COMMAND: (1, len(buffer)), mbim.COMMAND_DONE: (0, len(buffer)), mbim.INDICATE_STATUS: (len(buffer),)}
    body = mbim.QMI_UUID + struct.pack("<I", mbim.QMI_CID) + struct.pack(f"<{len(words[kind])}I", *words[kind]) + buffer
    size = fragment or len(body)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return [
        struct.pack("<IIIII", kind, 20 + len(part), txn, len(parts), number) + part for number, part in enumerate(parts)
    ]


def save(path: Path, link_type: int, records: Iterable[Record], order: str = "<") -> Path:
    """A pcap file with these records, one a millisecond."""
    with path.open("wb") as file:
        file.write(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type))
        for number, (data, left_out) in enumerate(records):
            seconds, micro = divmod(number * _TICK_US, 1_000_000)
            head = (1_767_225_600 + seconds, micro, len(data), len(data) + left_out)
            file.write(struct.pack(order + "IIII", *head) + data)
    return path
