# SPDX-License-Identifier: GPL-2.0-or-later
"""QRTR headers and control packets, whole and cut at every byte."""

from __future__ import annotations

import struct

import pytest

from qmisniff.protocol import qrtr
from tests import factories

V1 = struct.pack("<8I", 1, 1, 5, 0x4001, 7, 7, 0, 12)
V2 = struct.pack("<BBBBIHHHH", 3, 1, 1, 4, 7, 5, 0x4001, 0, 0xFFFE) + b"opts"


def test_version_1() -> None:
    assert qrtr.parse_header(V1) == qrtr.Header(1, 5, 0x4001, 0, 12, True, 32, 7)


def test_version_2_counts_options_and_widens_the_control_port() -> None:
    assert qrtr.parse_header(V2) == qrtr.Header(1, 5, 0x4001, 0, 0xFFFFFFFE, True, 20, 7)


@pytest.mark.parametrize("whole", [V1, V2[:16]], ids=["v1", "v2"])
def test_a_header_cut_at_any_byte_is_none_and_keeps_the_fields_before_the_cut(whole: bytes) -> None:
    for size in range(len(whole)):
        cut = whole[:size]
        assert qrtr.parse_header(cut) is None
        rows = qrtr.header_rows(cut)
        assert all(offset + length <= size for _, _, offset, length in rows)
        assert [row for row in qrtr.header_rows(whole) if row[2] + row[3] <= size][: len(rows)] == rows


@pytest.mark.parametrize("first", [0, 2, 4, 255])
def test_other_versions_are_no_header(first: int) -> None:
    assert qrtr.parse_header(bytes([first]) + V1[1:]) is None
    assert qrtr.header_rows(bytes([first]) + V1[1:]) == []


def test_rows_give_every_field_of_version_2() -> None:
    found = {spec.name: value for spec, value, _, _ in qrtr.header_rows(V2)}
    assert found["qrtr.confirm_rx"] == 1
    assert found["qrtr.dst_port"] == 0xFFFFFFFE
    assert found["qrtr.options"] == b"opts"


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (qrtr.HELLO, ["cmd", "magic", "capability"]),
        (qrtr.BYE, ["cmd", "node", "port"]),
        (qrtr.NEW_SERVER, ["cmd", "service", "version", "instance", "node", "port"]),
        (qrtr.DEL_SERVER, ["cmd", "service", "version", "instance", "node", "port"]),
        (qrtr.DEL_CLIENT, ["cmd", "node", "port"]),
        (qrtr.RESUME_TX, ["cmd", "node", "port"]),
        (qrtr.NEW_LOOKUP, ["cmd", "service", "version", "instance", "node", "port"]),
        (qrtr.DEL_PROC, ["cmd", "checksum", "node"]),
        (77, ["cmd"]),
    ],
)
def test_the_command_chooses_the_form(command: int, names: list[str]) -> None:
    packet = struct.pack("<5I", command, 2, 0x301, 9, 0x4002)
    rows = qrtr.control_rows(packet, 0, 20)
    assert [spec.name for spec, _, _, _ in rows] == [f"qrtr.ctrl.{name}" for name in names]
    for size in range(20):
        assert qrtr.control_rows(packet[:size], 0, size) == [row for row in rows if row[2] + row[3] <= size]


def test_the_instance_word_holds_version_and_instance() -> None:
    found = {spec.name: value for spec, value, _, _ in qrtr.control_rows(struct.pack("<5I", 4, 2, 0x301, 9, 1), 0, 20)}
    assert (found["qrtr.ctrl.version"], found["qrtr.ctrl.instance"]) == (1, 3)


def test_a_control_packet_names_an_address() -> None:
    server = qrtr.parse_control(factories.server(4, 2, 1, 0, 12), 32)
    client = qrtr.parse_control(struct.pack("<5I", qrtr.DEL_CLIENT, 3, 0x4005, 0, 0))
    assert server is not None and client is not None
    assert qrtr.control_address(server) == (0, 12)
    assert qrtr.control_address(client) == (3, 0x4005)
    assert qrtr.parse_control(bytes(19)) is None
