# SPDX-License-Identifier: GPL-2.0-or-later
"""Fields as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.dissect.text import field_text
from qmisniff.field import Field, FieldSpec, Kind, Value
from qmisniff.printable import plain


def text(value: Value, kind: Kind = Kind.UINT, **what: object) -> str:
    return field_text(Field(FieldSpec("a.b", "b", kind, **what), value, 0, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (text(-97, Kind.INT, unit="dBm"), "b: -97 dBm"),
        (text(12.3, Kind.FLOAT, size=2, scale=0.1, unit="dB"), "b: 12.3 dB"),
        (text(8, labels={8: "lte"}), "b: lte (8)"),
        (text(9, labels={8: "lte"}), "b: 9"),
        (text(0x4F, hex=True, size=2, labels={0x4F: "Get Signal Info"}), "b: Get Signal Info (0x004f)"),
        (text(5, hex=True, size=1, flags=True, labels={1: "voice", 2: "data"}), "b: voice|0x4 (0x05)"),
        (text(0, hex=True, size=1, flags=True, labels={1: "voice"}), "b: none (0x00)"),
        (text(True, Kind.BOOL), "b: true"),
        (text(b"\x01\xff", Kind.BYTES), "b: 01 ff"),
        (text(b"", Kind.BYTES), "b: (empty)"),
        (text(bytes(65), Kind.BYTES), "b: " + " ".join(["00"] * 64) + " ... (65 bytes)"),
        (text("x" * 1001, Kind.STRING), "b: " + "x" * 1000 + "... (1001 characters)"),
        (text("a\x1b[2J\nb\u202e", Kind.STRING), "b: a\\x1b[2J\\nb\\u202e"),
        (text(0.1, Kind.FLOAT, size=4), "b: 0.1"),
        (text(float("nan"), Kind.FLOAT, size=8), "b: nan"),
        (text(1_700_000_000, unit="s", since="unix"), "b: 1700000000 s (2023-11-14 22:13:20 UTC)"),
        (text(0, unit="ms", since="gps"), "b: 0 ms (1980-01-06 00:00:00 GPS time)"),
        (text(1 << 64, unit="s", since="unix"), f"b: {1 << 64} s"),
        (text(None, Kind.NONE), "b"),
        (text(3, Kind.NONE), "b [3]"),
        (text("lte (8)", Kind.NONE), "b: lte (8)"),
    ],
)
def test_lines(shown: str, line: str) -> None:
    assert shown == line


@given(st.text())
def test_any_text_is_safe_for_a_terminal(given_text: str) -> None:
    assert plain(given_text).isprintable()
    if given_text.isprintable():
        assert plain(given_text) == given_text
