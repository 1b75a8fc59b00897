# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the packet list."""

from __future__ import annotations

import struct
from functools import cache

import pytest

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector, Summary
from qmisniff.field import Severity
from qmisniff.frame import Direction, Frame, Link
from qmisniff.paths import data_dir
from qmisniff.protocol.context import Context
from tests import factories
from tests.factories import CTRL, HOST, MODEM

DMS = 2
OK, FAILED = factories.tlv(2, bytes(4)), factories.tlv(2, struct.pack("<HH", 1, 94))


@cache
def dissector() -> Dissector:
    return Dissector(Registry([data_dir("dissectors")]))


def row(frame: Frame, service: int | None = None) -> Summary:
    return dissector().summary(frame, Context(1, service))


def control(command: int, *words: int) -> str:
    return row(factories.frame(factories.qrtr(struct.pack("<5I", command, *words), (0, CTRL), (1, CTRL), command))).info


@pytest.mark.parametrize(
    ("message", "info", "severity"),
    [
        (factories.qmi(0, 5, 0x25), "Request: Get IDs, txn 5", None),
        (factories.qmi(2, 5, 0x25, OK, factories.tlv(0x11, b"0" * 15)), "Response: Get IDs, txn 5 (imei)", None),
        (factories.qmi(2, 5, 0x25, FAILED), "Response: Get IDs, txn 5, error 94 NOT_SUPPORTED", Severity.NOTE),
        (factories.qmi(4, 5, 0x01), "Indication: Event Report, txn 5", None),
        (factories.qmi(0, 5, 0x7FFF), "Request: 0x7fff, txn 5", Severity.NOTE),
        (factories.qmi(0, 5, 0x25)[:5], "cut short [the QMI header is cut short]", Severity.ERROR),
        (factories.qmi(0, 5, 0x25, factories.tlv(0x77, b"x")), "Request: Get IDs, txn 5 (0x77)", Severity.NOTE),
    ],
)
def test_messages(message: bytes, info: str, severity: Severity | None) -> None:
    found = row(factories.frame(factories.qrtr(message)), DMS)
    assert found == Summary("1:0x4001", "0:10", "QMI_DMS", info, severity)


def test_control_packets() -> None:
    assert control(4, 2, 0x101, 0, 12) == "NEW_SERVER DMS v1 i1 @ 0:12"
    assert control(4, 0, 0, 0, 0) == "NEW_SERVER end of list"
    assert control(5, 9999, 1, 3, 0x4007) == "DEL_SERVER 9999 v1 i0 @ 3:0x4007"
    assert control(10, 3, 0, 0, 0) == "NEW_LOOKUP NAS"
    assert control(10, 0, 0, 0, 0) == "NEW_LOOKUP all services"
    assert control(6, 1, 0x4005, 0, 0) == "DEL_CLIENT 1:0x4005"
    assert control(2, 0, 0, 0, 0) == "HELLO"


def test_what_is_no_qmi() -> None:
    data = factories.frame(factories.qrtr(b"\x7e\x01\x02\x03", (MODEM, 20), (HOST, 0x4001)))
    assert row(data, 4097)[2:4] == ("DIAG", "4 bytes")
    assert row(data)[2:4] == ("QRTR", "DATA, 4 bytes")
    assert row(data, 5022).protocol != "QMI_5022"


def test_the_service_is_not_known_but_the_message_looks_right() -> None:
    found = row(factories.frame(factories.qrtr(factories.qmi(0, 5, 0x25))))
    assert (found.protocol, found.info) == ("QMI", "Request: 0x0025, txn 5")


def test_qmux_names_host_and_modem() -> None:
    message = factories.qmi(0, 5, 0x25)
    frame = factories.frame(struct.pack("<BHBBB", 1, len(message) + 5, 0, DMS, 3) + message, link=Link.QMUX)
    assert row(frame)[:3] == ("host", "modem", "QMI_DMS")
    bare = factories.frame(message, link=Link.QMI, direction=Direction.INBOUND)
    assert row(bare, DMS)[:2] == ("modem", "host")


def test_no_packet_at_all() -> None:
    found = row(factories.frame(b"nothing"))
    assert found.info.startswith("not a QRTR packet") and found.severity is Severity.ERROR
