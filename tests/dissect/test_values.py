# SPDX-License-Identifier: GPL-2.0-or-later
"""Text encodings: known values, and time that grows with the length and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.dissect import values


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ""),
        ("41", "A"),
        ("e8329bfd4697d9ec37", "hellohello"),
        ("31d98c56b3dd00", "1234567@"),  # seven bits are left over: whoever knows how many characters there are says so
        ("9b32", "€"),  # escape e
        ("9b20", "A"),  # escape A means nothing else
        ("9b0d0a", "\x1b("),  # escape escape
        ("c10d", "A"),  # an escape at the end
    ],
)
def test_gsm7(raw: str, text: str) -> None:
    assert values.gsm7(bytes.fromhex(raw)) == text


def test_gsm8() -> None:
    assert values.gsm8(b"Hi\x00\x1be\xc1") == "Hi@€A"


@pytest.mark.parametrize(
    ("raw", "text"), [("", ""), ("21436587f9", "123456789"), ("ba", "*#"), ("dcfe", "abc"), ("ffff", "")]
)
def test_bcd(raw: str, text: str) -> None:
    assert values.bcd(bytes.fromhex(raw)) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"abc\0def", "abc"),
        ("é€".encode(), "é€"),
        (b"12\xff\xff", "12"),
        (b"\xffa\xc3\xd8b", r"\xffa\xc3\xd8b"),
    ],
)
def test_text(raw: bytes, text: str) -> None:
    assert values.text(raw) == text


@given(st.binary(max_size=40))
def test_bytes_that_are_no_text_become_escapes(raw: bytes) -> None:
    assert values.text(raw) == raw.partition(b"\0")[0].rstrip(b"\xff").decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("decode", [values.gsm7, values.gsm8, values.bcd, values.utf16, values.utf16_be, values.text])
def test_the_longest_text_takes_no_time(decode: Callable[[bytes], str]) -> None:
    """65,535 bytes of GSM 7-bit text once took 0.3 s."""
    raw = bytes(range(1, 256)) * 257
    began = time.process_time()
    decode(raw)
    assert time.process_time() - began < 0.1


@given(
    st.binary()
    | st.lists(st.sampled_from([b"\\", b"\\udcff", b"\xff", "ñ".encode(), b"A", b"\xed\xb3\xbf"])).map(b"".join)
)
def test_bytes_that_are_no_text_are_escaped(raw: bytes) -> None:
    whole = raw.partition(b"\0")[0].rstrip(b"\xff")
    assert values.text(raw) == whole.decode("utf-8", "backslashreplace")
