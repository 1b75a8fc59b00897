# SPDX-License-Identifier: GPL-2.0-or-later
"""The exported dissector on captures of other programs: USER0, exported PDUs, USB with and without descriptors."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from qmisniff.protocol.mbim import COMMAND, COMMAND_DONE, QMI_CID, QMI_UUID
from tests import factories
from tests.differential.corpus import registry
from tests.lua.tshark import available, export, run
from tests.oracle.libqmi import qmux

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")

USER0, USBMON, EXPORTED_PDU = 147, 220, 252
DMS = 2
IMEI = b"001010123456789"
REQUEST = factories.qmi(0, 1, 0x25)
RESPONSE = factories.qmi(2, 1, 0x25, factories.tlv(2, bytes(4)), factories.tlv(0x11, IMEI))
ASKED, ANSWERED = qmux(DMS, 0, REQUEST), qmux(DMS, 1, RESPONSE)
DEVICE, CONTROL, INTERRUPT = 5, 2, 1
# A configuration with one interface, number 8, of the vendor's own class.
DESCRIPTORS = bytes.fromhex("09 02 12 00 01 01 00 80 fa09 04 08 00 00 ff ff ff 00")
NOTIFICATION = struct.pack("<BBHHH", 0xA1, 1, 0, 8, 0)


def pcap(path: Path, link: int, packets: list[bytes]) -> Path:
    """A capture file as other programs write it, a packet a millisecond."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))
        for number, packet in enumerate(packets):
            file.write(struct.pack("<IIII", 1_767_225_600, number * 1000, len(packet), len(packet)) + packet)
    return path


def exported(dissector: str, packet: bytes) -> bytes:
    """A packet behind the tags that name its dissector (Wireshark's epan/exported_pdu.h)."""
    name = dissector.encode()
    return struct.pack(">HH", 12, len(name)) + name + bytes(4) + packet


def urb(event: str, transfer: int, endpoint: int, number: int, setup: bytes = b"", data: bytes = b"") -> bytes:
    """What usbmon records of a request: submission S or completion C (Linux Documentation/usb/usbmon.rst)."""
    head = struct.pack("<QBBBBHBBqiiII", number, ord(event), transfer, endpoint, DEVICE, 1, 0 if setup else ord("-"),
                       0 if data else ord("<"), 1_767_225_600, 0, 0, len(data), len(data))  # fmt: skip
    return head + setup.ljust(8, b"\0") + bytes(16) + data


def sent(number: int, data: bytes) -> list[bytes]:
    setup = struct.pack("<BBHHH", 0x21, 0, 0, 8, len(data))
    return [urb("S", CONTROL, 0, number, setup, data), urb("C", CONTROL, 0, number)]


def got(number: int, data: bytes, setup: bytes = struct.pack("<BBHHH", 0xA1, 1, 0, 8, 4096)) -> list[bytes]:
    return [urb("S", CONTROL, 0x80, number, setup), urb("C", CONTROL, 0x80, number, b"", data)]


def in_mbim(kind: int, frame: bytes) -> bytes:
    """The frame as the buffer of an MBIM message."""
    body = QMI_UUID + struct.pack("<III", QMI_CID, int(kind == COMMAND), len(frame)) + frame
    return struct.pack("<IIIII", kind, 20 + len(body), 7, 1, 0) + body


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(registry(), tmp_path_factory.mktemp("links") / "qmisniff.lua")


def decoded(script: Path, capture: Path) -> list[list[str]]:
    """Of each packet with a QMI message: its number, the number of its request, the IMEIs in it."""
    names = ("frame.number", "qmi.response_to", "qmi.dms.get_ids.imei")
    options = [word for name in names for word in ("-e", name)]
    lines = run(script, capture, "-Y", "qmi.msgid == 0x25", "-T", "fields", *options).splitlines()
    return [line.split("\t") for line in lines]


ONE = IMEI.decode()


def test_user0(tmp_path: Path, script: Path) -> None:
    capture = pcap(tmp_path / "user0.pcap", USER0, [ASKED, ANSWERED])
    assert decoded(script, capture) == [["1", "", ""], ["2", "1", ONE]]


def test_exported_pdus(tmp_path: Path, script: Path) -> None:
    packets = [
        exported("qmux", ASKED),
        exported("qmux", ANSWERED),
        exported("qrtr", factories.server(factories.NEW_SERVER, DMS, 1, factories.MODEM, 10)),
        exported("qrtr", factories.qrtr(REQUEST)),
        exported("qrtr", factories.qrtr(RESPONSE, (factories.MODEM, 10), (factories.HOST, 0x4001))),
        exported("qmi", RESPONSE),
    ]
    found = decoded(script, pcap(tmp_path / "pdu.pcap", EXPORTED_PDU, packets))
    assert found == [["1", "", ""], ["2", "1", ONE], ["4", "", ""], ["5", "4", ONE], ["6", "", ""]]


@pytest.mark.parametrize("plugged_in", [True, False], ids=["from the start", "begun later"])
def test_qmux_in_usb(plugged_in: bool, tmp_path: Path, script: Path) -> None:
    first = got(50, DESCRIPTORS, struct.pack("<BBHHH", 0x80, 6, 0x200, 0, 255)) if plugged_in else []
    packets = [*first, *sent(1, ASKED), urb("C", INTERRUPT, 0x81, 9, b"", NOTIFICATION), *got(2, ANSWERED),
               *sent(3, ASKED), *got(4, ANSWERED + ANSWERED)]  # fmt: skip
    found = decoded(script, pcap(tmp_path / "usb.pcap", USBMON, packets))
    at = len(first)
    assert found == [
        [str(at + 1), "", ""],
        [str(at + 5), str(at + 1), ONE],
        [str(at + 6), "", ""],
        [str(at + 9), str(at + 6), f"{ONE},{ONE}"],
    ]


def test_qmux_in_mbim_in_usb(tmp_path: Path, script: Path) -> None:
    packets = [*sent(1, in_mbim(COMMAND, ASKED)), *got(2, in_mbim(COMMAND_DONE, ANSWERED))]
    capture = pcap(tmp_path / "mbim.pcap", USBMON, packets)
    assert decoded(script, capture) == [["1", "", ""], ["4", "1", ONE]]
    assert run(script, capture, "-Y", "mbim.cid == 1", "-T", "fields", "-e", "mbim.txn").split() == ["7", "7"]
