# SPDX-License-Identifier: GPL-2.0-or-later
"""Every notation in which people paste bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.errors import UsageError
from qmisniff.frame import Link
from qmisniff.hextext import guess_link, parse_hex, parse_packets
from qmisniff.tui.screens.copying import c_array
from tests import factories as make

BYTES = bytes.fromhex("010c00000201001122aF")


@pytest.mark.parametrize(
    "text",
    [
        "010c00000201001122af",
        "01 0C 00 00 02 01 00 11 22 AF",
        "01:0c:00:00:02:01:00:11:22:af",
        "01-0c-00-00-02-01-00-11-22-af",
        "0x01, 0x0c, 0x0, 0x00, 0x2, 0x01, 0x00, 0x11, 0x22, 0xaf",
        "{ 0x01,0x0c,0x00,0x00,0x02,\n  0x01,0x00,0x11,0x22,0xaf };",
        r'"\x01\x0c\x00\x00\x02\x01\x00\x11\x22\xaf"',
        "010c 0000 0201 0011 22af\n",
        "0x010c00000201001122af",
        "0x010c 0x0000 0x0201 0x0011 0x22af",
        "static const unsigned char packet[10] = {\n  0x01,0x0c,0x00,0x00,0x02,\n  0x01,0x00,0x11,0x22,0xaf,\n};",
        "uint8_t msg[] = {0x01, 0x0c, 0x00, 0x00, 0x02, 0x01, 0x00, 0x11, 0x22, 0xAF};",
        "<<<<<<   data   = 01:0C:00:00:02:01:00:11:22:AF",
        '0000  01 0c 00 00 02 01 00 11  ........\n0008  22 af                    .".\n',
        "00000000: 010c 0000 0201 0011  ........\n00000008: 22af  ..\n",
    ],
)
def test_notations(text: str) -> None:
    assert parse_hex(text) == BYTES


HEXDUMP_C = """\
00000000  01 0c 00 00 02 01 00 11  22 af 62 65 65 66 20 20  |........".beef  |
00000010  41                                                |A|
00000011
"""
XXD = """\
00000000: 010c 0000 0201 0011 22af 6162 6364 6566  beef
00000010: 41                                       A
"""


def test_text_beside_a_dump_is_not_taken_for_bytes() -> None:
    assert parse_hex(HEXDUMP_C) == BYTES + b"beef  A"
    assert parse_hex(XXD) == BYTES + b"abcdefA"


def test_one_packet_a_line_even_where_words_look_like_offsets() -> None:
    assert parse_packets("0102 0304\n\n  0506 0708\n") == [bytes([1, 2, 3, 4]), bytes([5, 6, 7, 8])]
    assert parse_packets("01\n02:03\n") == [b"\1", b"\2\3"]


def test_each_dump_from_offset_0_is_a_packet() -> None:
    assert parse_packets(HEXDUMP_C + XXD) == [BYTES + b"beef  A", BYTES + b"abcdefA"]


LIBQMI = """\
[26 nov 2026, 10:01:02] [Debug] [/dev/cdc-wdm0] sent message...
<<<<<< RAW:
<<<<<<   length = 3
<<<<<<   data   = 01:0C:00

[26 nov 2026, 10:01:02] [Debug] [/dev/cdc-wdm0] sent generic request (translated)...
<<<<<< QMI:
<<<<<<   TLV:
<<<<<<     type       = "Mode" (0x01)
<<<<<<     length     = 1
<<<<<<     value      = 02
[26 nov 2026, 10:01:03] [Debug] [/dev/cdc-wdm0] received message...#012>>>>>> RAW:#012>>>>>>   data   = 01:0D:FF#012
"""


def test_the_messages_of_a_log_of_libqmi() -> None:
    assert parse_packets(LIBQMI) == [b"\x01\x0c\x00", b"\x01\x0d\xff"]


def test_each_c_array_is_a_packet() -> None:
    assert parse_packets("u8 a[] = { 0x01,\n 0x02 };\nu8 b[] = {\n0x03\n};\n") == [b"\1\2", b"\3"]


def test_what_the_screen_copies_as_a_c_array_is_read_back() -> None:
    data = bytes(range(40))
    assert parse_packets(c_array(data)) == [data]


def test_the_line_that_is_not_hexadecimal_is_named() -> None:
    with pytest.raises(UsageError, match=r"line 3: not hexadecimal at character 4"):
        parse_packets("01 02\n\n01 xx\n")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_lines_round_trip(packets: list[bytes]) -> None:
    assert parse_packets("\n".join(packet.hex(" ") for packet in packets)) == packets


@pytest.mark.parametrize("text", ["01 0g", "1 2 3", "0x123", "hello", "01 0c 0"])
def test_what_is_not_hexadecimal_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(UsageError, match=r"at character \d+"):
        parse_hex(text)


@given(st.binary(max_size=60), st.sampled_from(["", " ", ":", ", ", "\n"]))
def test_round_trip(data: bytes, between: str) -> None:
    assert parse_hex(between.join(f"{byte:02x}" for byte in data)) == data


@given(st.text("0123456789abcdefxX\\ :,{}|\n", max_size=80))
def test_any_text_is_bytes_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_hex(text)


def test_links() -> None:
    message = make.qmi(0, 1, 0x20)
    qmux = b"\x01" + (len(message) + 5).to_bytes(2, "little") + b"\x00\x02\x01" + message
    mbim = bytes.fromhex("03000000 30000000 01000000") + bytes(36)
    assert guess_link(make.qrtr(message)) is Link.QRTR
    assert guess_link(b"\x03\x01" + bytes(30)) is Link.QRTR
    assert guess_link(qmux) is Link.QMUX
    assert guess_link(mbim) is Link.MBIM
    assert guess_link(message) is None
    assert guess_link(b"") is None
