# SPDX-License-Identifier: GPL-2.0-or-later
"""Instances of services that mean something by them are named."""

from __future__ import annotations

import struct

import pytest

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.paths import data_dir
from qmisniff.protocol import qrtr
from qmisniff.protocol.context import Context
from tests import factories as make

DISSECTOR = Dissector(Registry([data_dir("dissectors")]))


@pytest.mark.parametrize(
    ("service", "word", "shown"),
    [
        (43, 0x1202, "SSCTL v2 i18 (modem)"),
        (66, 0xB401, "SERVREG_NOTIF v1 i180 (modem)"),
        (69, 0x0101, "WLFW v1 i1 (QCA6390, WCN7850)"),
        (4097, 4 << 6 | 2, "DIAG v2 i1 (cdsp data)"),  # 0x102
        (4097, 9 << 6 | 2, "DIAG v66 i2 (data)"),  # nobody knows processor 9
        (2, 0x0101, "DMS v1 i1"),
        (43, 0x9902, "SSCTL v2 i153"),
    ],
)
def test_new_server(service: int, word: int, shown: str) -> None:
    frame = make.frame(make.server(make.NEW_SERVER, service, word, 0, 40))
    assert DISSECTOR.summary(frame, Context()).info == f"NEW_SERVER {shown} @ 0:40"


def test_fields_of_a_diag_server() -> None:
    frame = make.frame(make.server(make.NEW_SERVER, 4097, 1 << 6 | 1, 5, 40))
    found = DISSECTOR.values(frame, Context())
    names = ("version", "instance", "diag.processor", "diag.processor.label", "diag.channel", "diag.channel.label")
    assert [found[f"qrtr.ctrl.{name}"] for name in names] == [0x41, 0, 1, "lpass", 1, "cmd"]


def test_a_packet_that_ends_inside_the_word() -> None:
    rows = qrtr.control_rows(struct.pack("<3I", make.NEW_SERVER, 43, 0x1202)[:10], 0, 10)
    assert [row[0].name for row in rows] == ["qrtr.ctrl.cmd", "qrtr.ctrl.service", "qrtr.ctrl.version"]
