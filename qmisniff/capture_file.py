# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files: Frames <-> pcapng records.

qmisniff writes link type 252 (Wireshark's exported PDUs): tags naming the dissector `qmisniff`, the *tap header*
below, then the packet. It reads those, the same link type naming `qrtr`, `qmux` or `qmi` (bare packets), and USER0 to
USER15 (bare QMUX or QMI, as other tools write it). USB captures (usbmon, USBPcap) keep their link types; the numbers in
usbmon's headers have the byte order of the file, and are turned to little-endian, as Wireshark does. Any other record
is kept as bytes, so that frame numbers are Wireshark's.

Tap header, version 1, little-endian, 32 bytes; a reader skips what a longer header adds:

    0  u8   version, 1            6  u8   link (frame.Link)      12 u32  original length of the packet
    1  u8   header length         7  u8   reserved               16 char[16]  command, NUL-padded
    2  u8   hook (frame.Hook)     8  s32  pid, -1 unknown
    3  u8   flags (frame.Flag)
    4  u16  cpu, 0xffff unknown
"""

from __future__ import annotations

import platform
import struct
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from qmisniff import __version__, pcapng
from qmisniff.frame import USB_LINKS, Direction, Flag, Frame, Hook, Link, Origin
from qmisniff.pcapng import Interface, Record, RecordReader, pack_block, pack_options, pack_section, split_ts

EXPORTED_PDU = 252
USER0 = 147
USERS = range(USER0, USER0 + 16)
USB_LINK_TYPES = {189: Link.USBMON, 220: Link.USBMON_MMAPPED, 249: Link.USBPCAP}

# Where usbmon's headers hold numbers of more than a byte (Linux Documentation/usb/usbmon.rst), as (place, bytes): in
# every header, in that of isochronous transfers, in the mmapped interface's. Behind the header isochronous transfers
# have descriptors of four words each; how many, the word before the last says.
USBMON_HEADER = {Link.USBMON: 48, Link.USBMON_MMAPPED: 64}
USBMON_NUMBERS = ((0, 8), (12, 2), (16, 8), (24, 4), (28, 4), (32, 4), (36, 4))
USBMON_ISOCHRONOUS = ((40, 4), (44, 4))
USBMON_MMAPPED = ((48, 4), (52, 4), (56, 4), (60, 4))
USBMON_TRANSFER, USBMON_DESCRIPTORS, ISO_DESCRIPTOR = 9, 44, 16

_TAG_DISSECTOR, _TAG_END = 12, 0
TAP_VERSION = 1
TAP_FIELDS = (
    ("version", "B"), ("size", "B"), ("hook", "B"), ("flags", "B"), ("cpu", "H"), ("link", "B"), ("reserved", "x"),
    ("pid", "i"), ("original", "I"), ("comm", "16s"),
)  # fmt: skip
_TAP = struct.Struct("<" + "".join(code for _, code in TAP_FIELDS))
BARE = {"qrtr": Link.QRTR, "qmux": Link.QMUX, "qmi": Link.QMI}
_TAGS = struct.pack(">HH8sHH", _TAG_DISSECTOR, 8, b"qmisniff", _TAG_END, 0)
_HEAD = len(_TAGS) + _TAP.size
_HOOKS = {hook.value: hook for hook in Hook}
_LINK_TYPES = {link: number for number, link in USB_LINK_TYPES.items()}
LINKS = {link.value: link for link in Link if link not in USB_LINKS}  # those that stand in tap headers


class Writer:
    """Writes frames to a binary stream as pcapng; every call leaves whole blocks in the stream.

    One interface block a distinct `Frame.origin` and link type, written when its first frame comes. `close` adds the
    statistics block with what was lost; it does not close the stream.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._interfaces: dict[tuple[Origin, int], int] = {}
        self.written = 0
        self.lost = 0
        self.size = 0  # bytes
        self._flushed = 0  # how many of them have left the stream's buffer
        self._ends: list[int] = []  # of the packets after those
        self._started_ns = time.time_ns()
        uname = platform.uname()
        self._put(
            pack_section(
                {
                    pcapng.SHB_HARDWARE: uname.machine.encode(),
                    pcapng.SHB_OS: f"{uname.system} {uname.release}".encode(),
                    pcapng.SHB_APPLICATION: f"qmisniff {__version__}".encode(),
                }
            )
        )

    def write(self, frames: Iterable[Frame]) -> None:
        """Append frames and flush, so that a reader at the other end of a pipe sees them now."""
        for frame in frames:
            self.add(frame)
        self.flush()

    def add(self, frame: Frame) -> None:
        """Append a frame, which may stay in the stream's buffer until `flush`."""
        block = self._block(frame)
        self._ends.append(self.size + len(block))
        self._put(block)
        self.written += 1
        self.lost += frame.lost

    def flush(self) -> None:
        """Let a reader see what was added."""
        self._stream.flush()
        self._flushed = self.size
        self._ends.clear()

    def pulse(self) -> None:
        """Write a block that says nothing (a name resolution without names) and flush."""
        self._put(pack_block(pcapng.NAMES, body=bytes(4)))
        self.flush()

    def whole(self, size: int) -> tuple[int, int]:
        """Where the last packet ends that is whole in the first `size` bytes, and how many packets are not in them."""
        whole = [end for end in self._ends if end <= size]
        return whole[-1] if whole else min(self._flushed, size), len(self._ends) - len(whole)

    def _put(self, block: bytes) -> None:
        self.size += len(block)
        self._stream.write(block)

    def close(self, dropped: int | None = None, comment: str = "") -> None:
        """End the file with the number of packets lost, `dropped` or what the frames told, and a `comment`."""
        lost = min(self.lost if dropped is None else dropped, 2**63)
        end = split_ts(time.time_ns())
        for number in self._interfaces.values():
            self._put(
                pack_block(
                    pcapng.STATISTICS,
                    number,
                    *end,
                    options={
                        **({pcapng.OPT_COMMENT: comment.encode()} if comment else {}),
                        pcapng.ISB_START: struct.pack("<II", *split_ts(self._started_ns)),
                        pcapng.ISB_END: struct.pack("<II", *end),
                        pcapng.ISB_RECEIVED: struct.pack("<Q", self.written + lost),
                        pcapng.ISB_DROPPED: struct.pack("<Q", lost),
                        pcapng.ISB_DELIVERED: struct.pack("<Q", self.written),
                    },
                )
            )
        self.flush()

    def _interface(self, origin: Origin, link_type: int) -> int:
        number = self._interfaces.get((origin, link_type))
        if number is None:
            number = self._interfaces[origin, link_type] = len(self._interfaces)
            self._put(
                pack_block(
                    pcapng.INTERFACE,
                    link_type,
                    0,
                    0,
                    options={
                        pcapng.OPT_COMMENT: f"backend: {origin.backend}\nclock: {origin.clock}".encode(),
                        pcapng.IF_NAME: origin.name.encode(),
                        pcapng.IF_DESCRIPTION: origin.note.encode(),
                        pcapng.IF_TSRESOL: b"\x09",
                    },
                )
            )
        return number

    def _block(self, frame: Frame) -> bytes:
        link_type = _LINK_TYPES.get(frame.link, EXPORTED_PDU)
        number = self._interface(frame.origin, link_type)
        options = _options(frame.direction, frame.lost) if frame.lost else _OPTIONS[frame.direction]
        body = tapped(frame) if link_type == EXPORTED_PDU else frame.data
        original = min(len(body) - len(frame.data) + frame.orig_len, 0xFFFFFFFF)
        return pcapng.pack_packet(number, frame.ts_ns, body, original, options)


def _options(direction: int, lost: int) -> bytes:
    """A packet's options: its direction, where it has one, and what was lost before it."""
    options = []
    if direction:
        options.append((pcapng.EPB_FLAGS, struct.pack("<I", direction)))
    if lost:
        options.append((pcapng.EPB_DROPCOUNT, struct.pack("<Q", lost)))
    return pack_options(options)


_OPTIONS = {direction: _options(direction, 0) for direction in Direction}


def tapped(frame: Frame) -> bytes:
    """A record of link type 252: tags, tap header, packet."""
    tap = _TAP.pack(
        TAP_VERSION,
        _TAP.size,
        frame.hook,
        frame.flags,
        frame.cpu & 0xFFFF,
        frame.link,
        frame.pid,
        frame.orig_len,
        frame.comm.encode("utf-8", "replace")[:16],
    )
    return _TAGS + tap + frame.data


class Reader:
    """Frames of a pcapng or pcap stream, read strictly forward.

    `damage` is empty or one line on where and how the file breaks off; everything before it has been yielded.
    Raises CaptureFileError at once for what is no capture.
    """

    def __init__(self, stream: BinaryIO, name: str = "capture") -> None:
        self.records = RecordReader(stream, name)
        self._origins: dict[int, tuple[Interface, Origin]] = {}

    @property
    def damage(self) -> str:
        """Empty, or what is wrong with the file; complete once the iteration has ended."""
        return self.records.damage

    @property
    def dropped(self) -> int:
        """Packets lost as the file's last statistics block counts them; 0 where there is none (yet)."""
        return int.from_bytes(self.records.statistics.get(pcapng.ISB_DROPPED, b""), "little")

    def __iter__(self) -> Iterator[Frame]:
        for record in self.records:
            yield frame_of(record, self._origin(record.interface))

    def _origin(self, interface: Interface) -> Origin:
        known = self._origins.get(id(interface))
        if known is None:
            known = self._origins[id(interface)] = (interface, origin_of(interface))
        return known[1]


def origin_of(interface: Interface) -> Origin:
    """What captured the frames of an interface."""

    def text(code: int) -> str:
        return interface.options.get(code, b"").decode("utf-8", "replace").rstrip("\0")

    comment = dict(line.partition(": ")[::2] for line in text(pcapng.OPT_COMMENT).splitlines())
    return Origin(
        comment.get("backend", "file"), text(pcapng.IF_NAME), comment.get("clock", ""), text(pcapng.IF_DESCRIPTION)
    )


def frame_of(record: Record, origin: Origin) -> Frame:
    """The frame a record holds; a record that is not ours, or damaged within, becomes a frame of Link.OTHER."""
    data = record.data
    direction = Direction(record.flags & 3) if record.flags & 3 < 3 else Direction.UNKNOWN
    link = Link.OTHER
    start = 0
    link_type = record.interface.link_type
    if link_type in USERS:
        link = user_link(data, link_type)
    elif link_type in USB_LINK_TYPES:
        link = USB_LINK_TYPES[link_type]
        if is_turned(record.interface):
            data = _little_endian(data, link)
    elif link_type == EXPORTED_PDU:
        dissector, at = exported_pdu(data)
        if dissector == "qmisniff":
            frame = _tapped(record, at, direction, origin)
            if frame is not None:
                return frame
        elif dissector in BARE:
            link, start = BARE[dissector], at
    return Frame(
        record.ts_ns,
        data[start:],
        max(record.original, len(data)) - start,
        link,
        direction,
        flags=Flag.TRUNCATED if record.original > len(data) else Flag(0),
        lost=record.dropped,
        origin=origin,
    )


def is_turned(interface: Interface) -> bool:
    """Whether the headers of its records are usbmon's of a big-endian machine, and frames have them turned."""
    return interface.order == ">" and USB_LINK_TYPES.get(interface.link_type) in USBMON_HEADER


def _little_endian(data: bytes, link: Link) -> bytes:
    """A usbmon record of a big-endian machine with the numbers in its header turned, as many as are there whole."""
    turned, header = bytearray(data), USBMON_HEADER[link]

    def turn(place: int, size: int) -> None:
        if place + size <= len(data):
            turned[place : place + size] = data[place : place + size][::-1]

    isochronous = data[USBMON_TRANSFER : USBMON_TRANSFER + 1] == b"\0"
    for place, size in (
        USBMON_NUMBERS + USBMON_ISOCHRONOUS * isochronous + USBMON_MMAPPED * (link is Link.USBMON_MMAPPED)
    ):
        turn(place, size)
    if isochronous:
        count = int.from_bytes(data[USBMON_DESCRIPTORS : USBMON_DESCRIPTORS + 4], "big", signed=True)
        for place in range(header, min(header + count * ISO_DESCRIPTOR, len(data)), 4):
            turn(place, 4)
    return bytes(turned)


def _tapped(record: Record, at: int, direction: Direction, origin: Origin) -> Frame | None:
    """The frame behind a tap header at `at`; None where the header is cut short or of an unknown make."""
    if len(record.data) < at + _TAP.size:
        return None
    version, size, hook, flags, cpu, link, pid, original, comm = _TAP.unpack_from(record.data, at)
    if version != TAP_VERSION or size < _TAP.size or link not in LINKS:
        return None
    data = record.data[at + size :]
    return Frame(
        record.ts_ns,
        data,
        max(original, len(data)),
        LINKS[link],
        direction,
        _HOOKS.get(hook, Hook.NONE),
        Flag(flags & 7) | (Flag.TRUNCATED if original > len(data) else 0),
        pid,
        comm.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"),
        -1 if cpu == 0xFFFF else cpu,
        record.dropped,
        origin,
    )


def user_link(data: bytes, link_type: int) -> Link:
    """What a record of USER0 to USER15 is, by its length: QMUX frames, a QMI message, or something else; with USER0,
    where QMUX is usual, damaged QMUX."""
    at = 0
    while at + 3 <= len(data) and data[at] == 1:
        at += 1 + int.from_bytes(data[at + 1 : at + 3], "little")
    if data and at == len(data):
        return Link.QMUX
    if len(data) >= 7 and data[0] <= 5 and 7 + int.from_bytes(data[5:7], "little") == len(data):
        return Link.QMI
    return Link.QMUX if link_type == USER0 else Link.OTHER


def exported_pdu(data: bytes) -> tuple[str, int]:
    """Dissector name and offset of the packet behind the tags of an exported PDU; ("", 0) where they are broken.

    Layout: Wireshark's epan/exported_pdu.h; tags and lengths are big-endian, a tag of type 0 ends them.
    """
    at, dissector = 0, ""
    while at + 4 <= len(data):
        tag, size = struct.unpack_from(">HH", data, at)
        at += 4
        if tag == _TAG_END:
            return dissector, at
        if tag == _TAG_DISSECTOR:
            dissector = data[at : at + size].rstrip(b"\0").decode("ascii", "replace")
        at += size
    return "", 0
