# SPDX-License-Identifier: GPL-2.0-or-later
"""TFTP packets as tqftpserv and a modem send them, and as nobody should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.field import Severity
from qmisniff.protocol import tftp
from qmisniff.protocol.context import Context
from tests import factories as make

CONTEXT = Context(1, tftp.SERVICE, 1)
DISSECTOR = Dissector(Registry([]))
READ = b"\0\1/readwrite/server_check.txt\0octet\0wsize\x0010\0rsize\x002000\0"


def values(payload: bytes) -> dict[str, Any]:
    found = DISSECTOR.values(make.frame(make.qrtr(payload)), CONTEXT)
    return {name: value for name, value in found.items() if name.startswith(("tftp.", "data.", "expert."))}


def info(payload: bytes, context: Context = CONTEXT) -> str:
    row = DISSECTOR.summary(make.frame(make.qrtr(payload)), context)
    return f"{row.protocol} {row.info}"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (READ, "Read Request, File: /readwrite/server_check.txt, Transfer type: octet, wsize=10, rsize=2000"),
        (b"\0\2/readwrite/x\0octet\0", "Write Request, File: /readwrite/x, Transfer type: octet"),
        (b"\0\3\0\1abc", "Data Packet, Block: 1"),
        (b"\0\4\1\2", "Acknowledgement, Block: 258"),
        (b"\0\5\0\1file not found\0", "Error Code, Code: File not found, Message: file not found"),
        (b"\0\5\0\x09\0", "Error Code, Code: End of transfer, Message: "),
        (b"\0\6blksize\x00512\0seek\x001500\0", "Option Acknowledgement, blksize=512, seek=1500"),
    ],
)
def test_packet_is_described_as_in_wireshark(payload: bytes, text: str) -> None:
    assert info(payload) == f"TFTP {text}"
    assert "expert.message" not in values(payload)


def test_fields_of_a_request() -> None:
    assert values(READ) == {
        "tftp.opcode": 1,
        "tftp.opcode.label": "Read Request",
        "tftp.source_file": "/readwrite/server_check.txt",
        "tftp.type": "octet",
        "tftp.option.name": ["wsize", "rsize"],
        "tftp.option.value": ["10", "2000"],
    }


def test_file_data_is_a_layer_of_its_own() -> None:
    assert values(b"\0\3\0\1\xff\xfe")["data.data"] == b"\xff\xfe"
    assert values(b"\0\3\0\1").keys() == {"tftp.opcode", "tftp.opcode.label", "tftp.block"}  # the last, empty block


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"\0", "the TFTP packet is cut short"),
        (b"\0\3\0", "the TFTP packet is cut short"),
        (b"\0\7ab", "TFTP opcode 7 is unknown"),
        (b"\0\1", "there is no source file"),
        (b"\0\1/x\0", "there is no type"),
        (b"\0\1/x", "source file without an end"),
        (b"\0\1/x\0octet\0wsize\0", "the last option has no value"),
        (b"\0\1/x\0octet\0wsize\x0010", "option value without an end"),
        (b"\0\4\0\1x", "1 bytes after the TFTP packet"),
        (b"\0\6" + b"a\0b\0" * 65, "4 bytes after the TFTP packet"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, problem: str) -> None:
    found = values(payload)
    assert found["expert.message"] == problem
    assert found["expert.severity"] == Severity.WARN


def test_a_file_name_reaches_no_terminal_unescaped() -> None:
    assert "\x1b" not in info(b"\0\1/x\x1b[2J\0octet\0")


@given(st.sampled_from([b"", *(bytes([0, opcode]) for opcode in range(8))]), st.binary(max_size=200))
def test_no_byte_is_lost_and_none_raises(start: bytes, rest: bytes) -> None:
    payload = start + rest
    tree = DISSECTOR.tree(make.frame(make.qrtr(payload)), CONTEXT)
    layers = {layer.spec.name: layer for layer in tree.children}
    covered = set(range(32))
    for name in ("tftp", "data"):
        for field in layers[name].children if name in layers else ():
            if not field.spec.name.startswith("expert."):
                covered |= set(range(field.offset, field.offset + field.size))
    assert covered >= set(range(32, 32 + len(payload)))


def test_datagrams_of_diag_are_bytes_not_qmi() -> None:
    payload = b"\x0e\0\0\0\x08\0\0\0\1\0\0\0\0\0\0\0"
    found = DISSECTOR.values(make.frame(make.qrtr(payload)), Context(1, 4097, 0))
    assert found["data.data"] == payload
    assert not [name for name in found if name.startswith(("qmi.", "expert."))]
