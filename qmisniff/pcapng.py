# SPDX-License-Identifier: GPL-2.0-or-later
"""pcapng (and classic pcap) as blocks: bytes <-> blocks over one table of layouts, no policy.

Layouts: draft-ietf-opsawg-pcapng, sections 3 and 4; draft-ietf-opsawg-pcap. What the records mean to qmisniff is
in `capture_file`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from typing import BinaryIO, NamedTuple

from qmisniff.errors import CaptureFileError

# Wireshark refuses larger blocks too: a length beyond this is damage, and following it would cost memory.
MAX_BLOCK = 16 * 1024 * 1024

# The year 2262: later times exist only in damaged files, and a signed 64-bit column could not hold them.
MAX_TS_NS = 2**63 - 1

_NS = 1_000_000_000
_MAGIC = 0x1A2B3C4D
_PCAP_MAGIC = {  # first four bytes -> byte order, ticks a second
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", _NS),
    b"\xa1\xb2\x3c\x4d": (">", _NS),
}


class Layout(NamedTuple):
    """A block's type code and the fixed fields of its body, in order, as struct codes."""

    code: int
    fields: tuple[tuple[str, str], ...]

    def struct(self, order: str) -> struct.Struct:
        """The fixed part as a struct in byte order `order` ('<' or '>')."""
        return struct.Struct(order + "".join(code for _, code in self.fields))


SECTION = Layout(0x0A0D0D0A, (("magic", "I"), ("major", "H"), ("minor", "H"), ("section_length", "q")))
INTERFACE = Layout(1, (("link_type", "H"), ("reserved", "H"), ("snap_length", "I")))
SIMPLE_PACKET = Layout(3, (("original", "I"),))
NAMES = Layout(4, ())
STATISTICS = Layout(5, (("interface", "I"), ("ts_high", "I"), ("ts_low", "I")))
PACKET = Layout(6, (("interface", "I"), ("ts_high", "I"), ("ts_low", "I"), ("captured", "I"), ("original", "I")))
_PACKET_HEAD = struct.Struct("<II" + "".join(code for _, code in PACKET.fields))
_LENGTH = struct.Struct("<I")
_SECTION_CODE = struct.pack("<I", SECTION.code)  # a palindrome: the same in both byte orders
_READ = (INTERFACE, SIMPLE_PACKET, STATISTICS, PACKET)

# Option codes that mean the same in every block, then those of one block each.
OPT_END, OPT_COMMENT = 0, 1
SHB_HARDWARE, SHB_OS, SHB_APPLICATION = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_OS, IF_TSOFFSET = 2, 3, 9, 12, 14
EPB_FLAGS, EPB_DROPCOUNT = 2, 4
ISB_START, ISB_END, ISB_RECEIVED, ISB_DROPPED, ISB_DELIVERED = 2, 3, 4, 5, 8

Options = dict[int, bytes]


class Interface(NamedTuple):
    """An interface block: what records that name it are made of and how their clock ticks."""

    link_type: int
    snap_length: int = 0
    ticks: int = 1_000_000  # a second
    offset_s: int = 0  # added to every timestamp, seconds
    options: Options = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    order: str = "<"  # of the section or file


class Record(NamedTuple):
    """One captured packet as the file holds it. `place` is where its bytes begin in the file."""

    interface: Interface
    ts_ns: int
    data: bytes
    original: int
    flags: int
    dropped: int
    place: int


class End(Enum):
    """What stands for a record where there are no more."""

    END = 0


END = End.END


def pack_block(layout: Layout, *values: int, body: bytes = b"", options: Options | None = None) -> bytes:
    """One little-endian block: fixed fields, then `body` padded to four bytes, then the options."""
    content = layout.struct("<").pack(*values) + body + bytes(-len(body) % 4) + pack_options((options or {}).items())
    length = len(content) + 12
    return struct.pack("<II", layout.code, length) + content + struct.pack("<I", length)


def pack_packet(interface: int, ts: int, body: bytes, original: int, options: bytes) -> bytes:
    """An enhanced packet block: what pack_block makes, but quickly, for there are very many."""
    size = len(body)
    rest = bytes(-size % 4) + options
    length = _PACKET_HEAD.size + size + len(rest) + 4
    head = _PACKET_HEAD.pack(PACKET.code, length, interface, ts >> 32 & 0xFFFFFFFF, ts & 0xFFFFFFFF, size, original)
    return b"".join((head, body, rest, _LENGTH.pack(length)))


def pack_options(options: Iterable[tuple[int, bytes]], order: str = "<") -> bytes:
    """A list of options with its end; b"" where there are none."""
    parts = []
    for code, value in options:
        value = value[:0xFFFF]
        parts += [struct.pack(order + "HH", code, len(value)), value, bytes(-len(value) % 4)]
    return b"".join([*parts, bytes(4)]) if parts else b""


def pack_section(options: Options) -> bytes:
    """A section header of unknown length, as a stream needs it."""
    return pack_block(SECTION, _MAGIC, 1, 0, -1, options=options)


def split_ts(ts: int) -> tuple[int, int]:
    """A 64-bit timestamp as its high and low words."""
    return ts >> 32 & 0xFFFFFFFF, ts & 0xFFFFFFFF


class RecordReader:
    """Records of a pcapng or pcap stream, read strictly forward so that a pipe will do.

    Iterating yields Records. It never raises after the first block: damage ends the iteration and is told in `damage`
    (one line with the offset), so that everything before it is kept. `statistics` holds the options of the last
    statistics block. Raises CaptureFileError at once for what is no capture.

    `order`, `interfaces` and `offset` say how far it has come: who finds records in bulk reads on behind them with
    `skip_to`.
    """

    def __init__(self, stream: BinaryIO, name: str = "capture") -> None:
        self.damage = ""
        self.statistics: Options = {}
        self.offset = 0  # of what is read next
        self.order = "<"  # of the section or file, as struct names it
        self.interfaces: list[Interface] = []  # of the section or file
        self._stream = stream
        self._name = name
        self.classic = False  # pcap, not pcapng
        head = self._read(4)
        if head in _PCAP_MAGIC:
            self.classic = True
            self.order, ticks = _PCAP_MAGIC[head]
            self.step: Callable[[], Record | End | None] = self._pcap(ticks, self._read(20))
        elif head == _SECTION_CODE:
            if not self._section(0, self._read(4)):
                raise CaptureFileError(self.damage, "nothing can be read from it")
            self.step = self._block
        elif not head:
            raise CaptureFileError(f"{name}: the file is empty", "a capture begins with a pcapng or pcap header")
        else:
            raise CaptureFileError(f"{name}: not a capture file", "qmisniff reads pcapng and pcap")

    def __iter__(self) -> Iterator[Record]:
        while (step := self.step()) is not END:
            if step is not None:
                yield step

    def skip_to(self, offset: int) -> None:
        """Go on at this offset, where a block or record begins. Only for streams that can seek."""
        self._stream.seek(offset)
        self.offset = offset

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the stream."""
        data = self._stream.read(size)
        while data and len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                break
            data += more
        self.offset += len(data)
        return data

    def _section(self, start: int, length: bytes) -> bool:
        """Begin the section at `start`, of which type and `length` were read; False when it is damaged."""
        magic = self._read(4)
        if len(length) < 4 or len(magic) < 4:
            had = 4 + len(length) + len(magic)
            self.damage = f"{self._name}: cut short at offset {start}: {had} bytes of a section header"
            return False
        order = next((order for order in "<>" if struct.unpack(order + "I", magic)[0] == _MAGIC), None)
        if order is None:
            self.damage = f"{self._name}: damaged at offset {start}: a section header of unknown byte order"
            return False
        size = struct.unpack(order + "I", length)[0]
        if not self._sane(start, size, 28) or self._body(start, size, 12) is None:
            return False
        self.order, self.interfaces = order, []
        self._fixed = {layout.code: layout.struct(order) for layout in _READ}
        self._head = struct.Struct(order + "II")
        return True

    def _block(self) -> Record | End | None:
        """The record in the next block; None where it holds none."""
        start = self.offset
        head = self._read(8)
        if len(head) < 8:
            if head:
                self.damage = f"{self._name}: cut short at offset {start}: {len(head)} bytes of a block header"
            return END
        if head[:4] == _SECTION_CODE:
            return None if self._section(start, head[4:]) else END
        order, interfaces = self.order, self.interfaces
        code, length = self._head.unpack(head)
        if not self._sane(start, length, 12):
            return END
        body = self._body(start, length, 8)
        if body is None:
            return END
        layout = self._fixed.get(code)
        if layout is None:
            return None
        if len(body) < layout.size:
            self.damage = f"{self._name}: block at offset {start} is too small for its type {code}"
            return END
        values = layout.unpack_from(body)
        if code == PACKET.code:
            number, high, low, captured, original = values
            if number >= len(interfaces):
                self.damage = f"{self._name}: record at offset {start} names interface {number}, never declared"
                return END
            if captured > len(body) - 20:
                self.damage = f"{self._name}: record at offset {start} claims {captured} bytes, its block has fewer"
                return END
            interface = interfaces[number]
            end = 20 + captured
            options = parse_options(body, (end + 3) & ~3, order)
            return Record(
                interface,
                in_ns(high << 32 | low, interface),
                body[20:end],
                original,
                option_number(options.get(EPB_FLAGS), order),
                option_number(options.get(EPB_DROPCOUNT), order),
                start + 28,
            )
        if code == INTERFACE.code:
            interfaces.append(_interface(values[0], values[2], parse_options(body, layout.size, order), order))
        elif code == STATISTICS.code:
            self.statistics = parse_options(body, layout.size, order)
        elif interfaces:  # a simple packet: no time, no interface number
            original = values[0]
            size = min(original, interfaces[0].snap_length or original, len(body) - 4)
            return Record(interfaces[0], 0, body[4 : 4 + size], original, 0, 0, start + 12)
        return None

    def _sane(self, start: int, length: int, least: int) -> bool:
        if length < least or length % 4 or length > MAX_BLOCK:
            self.damage = f"{self._name}: damaged at offset {start}: a block of {length} bytes"
            return False
        return True

    def _body(self, start: int, length: int, had: int) -> bytes | None:
        """The rest of a block of which `had` bytes were read, without its trailing length; None when it is damaged."""
        rest = length - had
        body = self._read(rest)
        if len(body) < rest:
            self.damage = f"{self._name}: cut short at offset {start}: {len(body) + had} of a block's {length} bytes"
            return None
        return body[:-4]

    def _pcap(self, ticks: int, head: bytes) -> Callable[[], Record | End]:
        if len(head) < 20:
            self.damage = f"{self._name}: cut short within its 24-byte header"
            return lambda: END
        snap_length, network = struct.unpack(self.order + "12xII", head)  # after version, zone, accuracy
        interface = Interface(network & 0xFFFF, snap_length, ticks, order=self.order)
        self.interfaces = [interface]
        fixed = struct.Struct(self.order + "IIII")
        return partial(self._pcap_record, interface, fixed)

    def _pcap_record(self, interface: Interface, layout: struct.Struct) -> Record | End:
        start = self.offset
        fixed = self._read(16)
        if len(fixed) < 16:
            if fixed:
                self.damage = f"{self._name}: cut short at offset {start}: {len(fixed)} of 16 bytes of a record header"
            return END
        seconds, fraction, captured, original = layout.unpack(fixed)
        if captured > MAX_BLOCK:
            self.damage = f"{self._name}: damaged at offset {start}: a record of {captured} bytes"
            return END
        data = self._read(captured)
        if len(data) < captured:
            self.damage = f"{self._name}: cut short at offset {start}: {len(data)} of a record's {captured} bytes"
            return END
        ts_ns = seconds * _NS + fraction * (_NS // interface.ticks)
        return Record(interface, ts_ns, data, original, 0, 0, start + 16)


def _interface(link_type: int, snap_length: int, options: Options, order: str) -> Interface:
    resolution = (options.get(IF_TSRESOL) or b"\x06")[0]
    # Resolutions beyond 10^-18 or 2^-63 s exist only in damaged files; the bound keeps the arithmetic small.
    ticks = 2 ** min(resolution & 0x7F, 63) if resolution & 0x80 else 10 ** min(resolution, 18)
    raw = options.get(IF_TSOFFSET, b"")
    offset = struct.unpack(order + "q", raw)[0] if len(raw) == 8 else 0
    return Interface(link_type, snap_length, ticks, offset, options, order)


def in_ns(ts: int, interface: Interface) -> int:
    """A timestamp of pcapng records of this interface as nanoseconds since 1970, 0 to MAX_TS_NS."""
    if interface.ticks != _NS or interface.offset_s:
        ts = ts * _NS // interface.ticks + interface.offset_s * _NS
    return min(max(ts, 0), MAX_TS_NS)


def option_number(raw: bytes | None, order: str) -> int:
    """The number an option holds, 0 where there is no such option."""
    return int.from_bytes(raw[:8], "little" if order == "<" else "big") if raw else 0


def parse_options(body: bytes, at: int, order: str) -> Options:
    """The options from `at` on; the first of each code counts. A broken list ends where it breaks."""
    found: Options = {}
    for code, value in list_options(body, at, order):
        found.setdefault(code, value)
    return found


def list_options(body: bytes, at: int, order: str) -> list[tuple[int, bytes]]:
    """All options from `at` on as code and value, in order. A broken list ends where it breaks."""
    found: list[tuple[int, bytes]] = []
    head = struct.Struct(order + "HH")
    while at + 4 <= len(body):
        code, size = head.unpack_from(body, at)
        at += 4
        if code == OPT_END or at + size > len(body):
            break
        found.append((code, body[at : at + size]))
        at += (size + 3) & ~3
    return found
