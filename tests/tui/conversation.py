# SPDX-License-Identifier: GPL-2.0-or-later
"""A short conversation with a modem, as a tap sees it: what the screen's tests look at. All identities are invented."""

from __future__ import annotations

from qmisniff.frame import Direction, Flag, Frame, Hook
from tests.factories import CTRL, HOST, MODEM, NEW_SERVER, frame, qmi, qrtr, server, tlv

DMS, NAS = 2, 3
DMS_PORT, NAS_PORT = 10, 11
GET_IDS, GET_SERVING_SYSTEM, SIGNAL_INFO = 0x25, 0x24, 0x51
IMEI = b"001012345678901"
OK = tlv(2, bytes(4))
NOT_SUPPORTED = tlv(2, b"\1\0\x5e\0")
CLIENT = (HOST, 0x4001)

ANNOUNCED_DMS, ANNOUNCED_NAS, IDS_ASKED, IDS, SERVING_ASKED, SERVING_REFUSED, SIGNAL = range(7)  # rows


def conversation() -> list[Frame]:
    """Two servers known beforehand; IDs asked and answered; serving system asked and refused; one indication."""
    return [
        *(
            frame(server(NEW_SERVER, service, 1, MODEM, port), 0, Direction.UNKNOWN, Hook.LOOKUP, -1, "",
                  flags=Flag.SYNTHETIC)
            for service, port in ((DMS, DMS_PORT), (NAS, NAS_PORT))
        ),
        frame(qrtr(qmi(0, 1, GET_IDS), CLIENT, (MODEM, DMS_PORT)), 10),
        from_modem(qmi(2, 1, GET_IDS, OK, tlv(0x10, b"0"), tlv(0x11, IMEI)), DMS_PORT, 12.5),
        frame(qrtr(qmi(0, 2, GET_SERVING_SYSTEM), CLIENT, (MODEM, NAS_PORT)), 20),
        from_modem(qmi(2, 2, GET_SERVING_SYSTEM, NOT_SUPPORTED), NAS_PORT, 21.25),
        from_modem(qmi(4, 1, SIGNAL_INFO, tlv(0x14, b"\xc4\xf4\x9f\xff\x78\x00")), NAS_PORT, 30),
    ]  # fmt: skip


def from_modem(message: bytes, port: int, at_ms: float, lost: int = 0) -> Frame:
    """A QMI message received from a port of the modem."""
    packet = qrtr(message, (MODEM, port), CLIENT)
    return frame(packet, at_ms, Direction.INBOUND, Hook.RECEIVE, 17, "kworker/0:1", lost=lost)


def hello() -> Frame:
    """The modem's name server says hello."""
    return frame(qrtr(bytes([2, *bytes(19)]), (MODEM, CTRL), (HOST, CTRL), 2), 1, Direction.INBOUND, Hook.RECEIVE)
