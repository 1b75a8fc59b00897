# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of one link type as those of another, where nothing is lost by it.

What is read of the new record must be what was read of the old one: the packet, its link, direction, time, and who sent
it. Where it would not be, the packet is refused with the reason.

Of USB captures the QMUX frames are taken: each becomes a packet, with the time and direction of the transfer that
brought its end. All else is left out, and counted. Nothing can be made into a USB capture: no packet says by which
requests it would have come.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Sequence

from qmisniff.capture_file import EXPORTED_PDU, USER0, exported_pdu, frame_of, tapped
from qmisniff.errors import UsageError
from qmisniff.export.pcapng import Packet
from qmisniff.frame import USB_LINKS, Direction, Frame, Link, Origin
from qmisniff.pcapng import EPB_FLAGS, Interface, Record, list_options, pack_options
from qmisniff.protocol import qmux, usb
from qmisniff.tracker.transfers import Transfers

LINK_TYPES = {"tap": EXPORTED_PDU, "user0": USER0}
_TAG_HEAD, _TAGS_END = 4, 4
_REMEDY = "-Y or --frames leave packets out"
_DIRECTION = 3  # in epb_flags
_NAMED = 5  # frames that a line on stderr lists


class Conversion:
    """What a Copier is to write instead of each packet; given all packets of a file in order, it keeps those of `rows`
    (all where None). Raises UsageError for one that would lose something."""

    def __init__(self, name: str, rows: Container[int] | None = None) -> None:
        """`name` is one of LINK_TYPES."""
        self.link_type = LINK_TYPES[name]
        self._rows = rows
        self._transfers = Transfers()
        self._device: int | None = None
        self._left_out = 0
        self._from_usb = 0

    def __call__(self, row: int, record: Record, packet: Packet) -> Sequence[Packet]:
        frame = frame_of(record, Origin())
        chosen = self._rows is None or row in self._rows
        if frame.link in USB_LINKS:
            device, messages = self._transfers.add(row, frame.data, frame.link, frame.orig_len)
            return self._of_usb(row, device, messages, frame, packet) if chosen else ()
        return (_as(self.link_type, row, frame, record, packet),) if chosen else ()

    @property
    def losses(self) -> Iterator[str]:
        """What was left out, a line each; complete once all is copied."""
        if not self._from_usb:
            return
        yield (
            f"of {self._from_usb} USB packets the QMUX frames are kept, not what stands before and behind them; "
            f"{self._left_out} bring none to its end"
        )
        unfinished = [row + 1 for row in self._transfers.unfinished if self._rows is None or row in self._rows]
        if unfinished:
            listed = ", ".join(map(str, unfinished[:_NAMED])) + (" ..." if len(unfinished) > _NAMED else "")
            yield f"{len(unfinished)} packets hold parts of messages whose rest is missing, left out too: {listed}"

    def _of_usb(self, row: int, device: int, messages: list[bytes], frame: Frame, packet: Packet) -> list[Packet]:
        self._from_usb += 1
        if not messages:
            self._left_out += 1
            return []
        if self._device not in (None, device):
            raise UsageError(
                f"frame {row + 1}: of another USB device than the frames before, which would be lost",
                f"-Y 'usb.bus_id == {device >> 16} && usb.device_address == {device & 0xFFFF}' keeps those of this one",
            )
        self._device = device
        urb = usb.parse_urb(frame.data, frame.link)
        direction = Direction.INBOUND if urb is not None and urb.completed else Direction.OUTBOUND
        cut = frame.orig_len > len(frame.data)
        options = list_options(packet.options, 0, packet.order)
        made = []
        for message in messages:
            made.append(_of_message(message, cut, self.link_type, packet, _directed(options, direction, packet.order)))
            options = []  # a comment, or a loss before the packet, is told once
        return made


def _directed(options: list[tuple[int, bytes]], direction: Direction, order: str) -> bytes:
    """A list of options that says the direction."""
    known = next((value for code, value in options if code == EPB_FLAGS and len(value) == 4), bytes(4))
    (flags,) = struct.unpack(order + "I", known)
    others = [each for each in options if each[0] != EPB_FLAGS]
    return pack_options([(EPB_FLAGS, struct.pack(order + "I", flags & ~_DIRECTION | direction)), *others], order)


def _of_message(message: bytes, cut: bool, link_type: int, packet: Packet, options: bytes) -> Packet:
    """A packet with the QMUX frame that these bytes begin with, of which the capture may have left out the end."""
    size = len(message)
    if size >= qmux.HEADER.size and message[0] == qmux.MARKER:
        end = qmux.frame_end(message, 0)
        message, size = message[:end], end if cut else min(end, size)
    data = message if link_type == USER0 else tapped(Frame(0, message, size, Link.QMUX))
    return packet._replace(data=data, original=len(data) - len(message) + size, options=options)


def _as(link_type: int, row: int, frame: Frame, record: Record, packet: Packet) -> Packet:
    return (_to_tap if link_type == EXPORTED_PDU else _to_user0)(row, frame, record, packet)


def _to_tap(row: int, frame: Frame, record: Record, packet: Packet) -> Packet:
    """QMUX of USER0 and exported QRTR, QMUX and QMI packets behind a tap header."""
    if frame.link is Link.OTHER:
        raise _refused(row, "neither QRTR, QMUX, QMI nor MBIM, nothing that a tap header stands before")
    if record.interface.link_type == EXPORTED_PDU:
        dissector, at = exported_pdu(record.data)
        if dissector == "qmisniff":
            return packet
        if at > _TAG_HEAD + len(dissector) + 3 + _TAGS_END:
            raise _refused(row, "an exported PDU with more tags than that of its dissector, which would be lost")
    data = tapped(frame)
    made = packet._replace(data=data, original=len(data) - len(frame.data) + frame.orig_len)
    return _checked(row, frame, record, made, EXPORTED_PDU)


def _to_user0(row: int, frame: Frame, record: Record, packet: Packet) -> Packet:
    """QMUX frames alone, as other tools know them."""
    if frame.link is not Link.QMUX:
        raise _refused(row, "no QMUX frame, and USER0 holds nothing else")
    return _checked(row, frame, record, packet._replace(data=frame.data, original=frame.orig_len), USER0)


def _checked(row: int, frame: Frame, record: Record, packet: Packet, link_type: int) -> Packet:
    """The packet, if the same frame is read of it."""
    made = record._replace(interface=Interface(link_type), data=packet.data, original=packet.original)
    if frame_of(made, frame.origin) != frame:
        raise _refused(row, "who sent it and where it was seen would be lost: USER0 has no place for that")
    return packet


def _refused(row: int, why: str) -> UsageError:
    return UsageError(f"frame {row + 1}: {why}", _REMEDY)
