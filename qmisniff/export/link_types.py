# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of one link type as those of another, where nothing is lost by it.

What is read of the new record must be what was read of the old one: the packet, its link, direction, time, and who sent
it. Where it would not be, the packet is refused with the reason.
"""

from __future__ import annotations

from qmisniff.capture_file import EXPORTED_PDU, USER0, exported_pdu, frame_of, tapped
from qmisniff.errors import UsageError
from qmisniff.export.pcapng import Packet
from qmisniff.frame import Frame, Link, Origin
from qmisniff.pcapng import Interface, Record

LINK_TYPES = {"tap": EXPORTED_PDU, "user0": USER0}
_TAG_HEAD, _TAGS_END = 4, 4


def to_tap(row: int, record: Record, packet: Packet) -> Packet:
    """QMUX of USER0 and exported QRTR, QMUX and QMI packets behind a tap header. Raises UsageError for others."""
    frame = frame_of(record, Origin())
    if frame.link is Link.OTHER:
        raise _refused(row, "neither QRTR, QMUX, QMI nor MBIM, nothing that a tap header stands before")
    if record.interface.link_type == EXPORTED_PDU:
        dissector, at = exported_pdu(record.data)
        if dissector == "qmisniff":
            return packet
        if at > _TAG_HEAD + len(dissector) + 3 + _TAGS_END:
            raise _refused(row, "an exported PDU with more tags than that of its dissector, which would be lost")
    data = tapped(frame)
    return _checked(
        row, frame, record, packet._replace(data=data, original=len(data) - len(frame.data) + frame.orig_len)
    )


def to_user0(row: int, record: Record, packet: Packet) -> Packet:
    """QMUX frames alone, as other tools know them. Raises UsageError for other packets, and for more than a frame."""
    frame = frame_of(record, Origin())
    if frame.link is not Link.QMUX:
        raise _refused(row, "no QMUX frame, and USER0 holds nothing else")
    return _checked(row, frame, record, packet._replace(data=frame.data, original=frame.orig_len), USER0)


CHANGES = {"tap": to_tap, "user0": to_user0}


def _checked(row: int, frame: Frame, record: Record, packet: Packet, link_type: int = EXPORTED_PDU) -> Packet:
    """The packet, if the same frame is read of it."""
    made = record._replace(interface=Interface(link_type), data=packet.data, original=packet.original)
    if frame_of(made, frame.origin) != frame:
        raise _refused(row, "who sent it and where it was seen would be lost: USER0 has no place for that")
    return packet


def _refused(row: int, why: str) -> UsageError:
    return UsageError(f"frame {row + 1}: {why}", "-Y or --frames leave packets out")
