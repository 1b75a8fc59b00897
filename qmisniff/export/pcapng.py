# SPDX-License-Identifier: GPL-2.0-or-later
"""Chosen records of a capture file as another one: what is kept is copied as it stands in the file, byte by byte.

Blocks that are no packets (interfaces, names, secrets, statistics, other programs' own) are all kept, and with a
packet its comments and options. A pcap file becomes pcapng with one interface.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from qmisniff import __version__, pcapng
from qmisniff.pcapng import END, Interface, Record, RecordReader, pack_block, pack_section

_NS = 1_000_000_000
_SECTION_LENGTH = 16  # where a section header says how long the section is
_UNKNOWN_LENGTH = struct.pack("<q", -1)
_SECTION_CODE = struct.pack("<I", pcapng.SECTION.code)


class Packet(NamedTuple):
    """A packet block, or a pcap record, taken apart. `options` is the list as it stands in the file."""

    interface: int
    ts: tuple[int, int]  # high and low word, in the interface's ticks
    data: bytes
    original: int
    options: bytes
    order: str = "<"  # of the block


# Row, what is read of the packet, the packet -> what is written instead of it.
Change = Callable[[int, Record, Packet], Iterable[Packet]]


class Copier:
    """Copies records of an open file, which must be able to seek. Raises CaptureFileError where it is no capture.

    `change` is given each packet that is kept and says what is written instead of it; `link_type`, where given, is
    that of all interfaces of the copy. `seen` counts packets, `copied` those written. `damage` is empty, or where the
    file breaks off: what stands before it has been copied.
    """

    def __init__(self, stream: BinaryIO, name: str, change: Change | None = None, link_type: int | None = None) -> None:
        stream.seek(0)
        self.seen = 0
        self.copied = 0
        self._stream = stream
        self._reader = RecordReader(stream, name)
        self._change = change
        self._link_type = link_type

    @property
    def damage(self) -> str:
        """Empty, or one line on what is wrong with the file; complete once all is copied."""
        return self._reader.damage

    def into(self, sink: BinaryIO, rows: Container[int] | None = None) -> None:
        """Write the packets of these rows (numbers less one; all where None), in the order of the file."""
        reader = self._reader
        if reader.classic:
            sink.write(pack_section({pcapng.SHB_APPLICATION: f"qmisniff {__version__}".encode()}))
            sink.write(self._interface_of_pcap(reader.interfaces))
        else:
            sink.write(self._block(0, reader.offset))
        while True:
            start, order = reader.offset, reader.order
            step = reader.step()
            if step is END:
                return
            if step is None:
                sink.write(self._block(start, reader.offset))
                continue
            row, self.seen = self.seen, self.seen + 1
            if rows is None or row in rows:
                for block in self._packets(row, step, start, order):
                    sink.write(block)
                    self.copied += 1

    def _block(self, start: int, end: int) -> bytes:
        """A block that holds no packet."""
        block = self._bytes(start, end)
        if block[:4] == _SECTION_CODE:
            # The length says where the section ends, and it may be shorter now.
            return block[:_SECTION_LENGTH] + _UNKNOWN_LENGTH + block[_SECTION_LENGTH + 8 :]
        order = self._reader.order
        if self._link_type is not None and struct.unpack_from(order + "I", block)[0] == pcapng.INTERFACE.code:
            return block[:8] + struct.pack(order + "H", self._link_type) + block[10:]
        return block

    def _packets(self, row: int, record: Record, start: int, order: str) -> Iterator[bytes]:
        block = self._bytes(start, self._reader.offset)
        if self._reader.classic:
            seconds, fraction = struct.unpack_from(order + "II", block)
            ts = pcapng.split_ts(seconds * record.interface.ticks + fraction)
            packet = Packet(0, ts, record.data, record.original, b"")
        elif self._change is None:
            yield block
            return
        else:
            packet = _taken_apart(block, record, order)
        for each in [packet] if self._change is None else self._change(row, record, packet):
            yield _put_together(each)

    def _bytes(self, start: int, end: int) -> bytes:
        self._stream.seek(start)
        data = self._stream.read(end - start)
        self._stream.seek(end)
        return data

    def _interface_of_pcap(self, interfaces: list[Interface]) -> bytes:
        if not interfaces:  # cut short within the header
            return b""
        link_type = interfaces[0].link_type if self._link_type is None else self._link_type
        resolution = {pcapng.IF_TSRESOL: b"\x09"} if interfaces[0].ticks == _NS else {}
        return pack_block(pcapng.INTERFACE, link_type, 0, interfaces[0].snap_length, options=resolution)


def _taken_apart(block: bytes, record: Record, order: str) -> Packet:
    if struct.unpack_from(order + "I", block)[0] == pcapng.SIMPLE_PACKET.code:
        return Packet(0, (0, 0), record.data, record.original, b"", order)
    fixed = pcapng.PACKET.struct(order)
    interface, high, low, captured, original = fixed.unpack_from(block, 8)
    behind = 8 + fixed.size + (captured + 3 & ~3)
    return Packet(interface, (high, low), record.data, original, block[behind:-4], order)


def _put_together(packet: Packet) -> bytes:
    order = packet.order
    fixed = pcapng.PACKET.struct(order).pack(packet.interface, *packet.ts, len(packet.data), packet.original)
    content = fixed + packet.data + bytes(-len(packet.data) % 4) + packet.options
    length = struct.pack(order + "I", len(content) + 12)
    return struct.pack(order + "I", pcapng.PACKET.code) + length + content + length
