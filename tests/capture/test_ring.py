# SPDX-License-Identifier: GPL-2.0-or-later
"""Ring-buffer pages, byte by byte (include/linux/ring_buffer.h, kernel/trace/ring_buffer.c)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.ring import Page, PageLayout, parse_layout, parse_page

LAYOUT = PageLayout()
MISSED, STORED = 1 << 31, 1 << 30


def event(kind: int, delta: int, body: bytes = b"") -> bytes:
    """An event: 5 bits of type_len and 27 of time delta, then what belongs to it."""
    return struct.pack("<I", delta << 5 | kind) + body


def page(body: bytes, ts: int = 1000, commit: int | None = None, behind: bytes = b"") -> bytes:
    """A page: time, length of the data with flags, data."""
    head = struct.pack("<QQ", ts, len(body) if commit is None else commit)
    return (head + body + behind).ljust(LAYOUT.size, b"\0")


SMALL = event(2, 7, b"12345678")  # type_len 2: two words of data
LARGE = event(0, 5, struct.pack("<I", 4 + 9) + b"123456789" + b"\0\0\0")  # size in the next word, counting itself
EXTEND = event(30, 3, struct.pack("<I", 2))  # time goes on by 2 << 27 | 3
STAMP = event(31, 9, struct.pack("<I", 1 << 20))  # time is 1 << 47 | 9
DISCARDED = event(29, 4, struct.pack("<I", 8) + b"gone")  # as large as its first word says
UNUSED = event(29, 0)  # nothing more on this page


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"", []),
        (SMALL, [(1007, b"12345678")]),
        (LARGE, [(1005, b"123456789")]),
        (SMALL + LARGE, [(1007, b"12345678"), (1012, b"123456789")]),
        (EXTEND + SMALL, [(1000 + (2 << 27) + 3 + 7, b"12345678")]),
        (STAMP + SMALL, [((1 << 47) + 9 + 7, b"12345678")]),
        (DISCARDED + SMALL, [(1011, b"12345678")]),
        (SMALL + UNUSED + SMALL, [(1007, b"12345678")]),
        (event(28, 1, bytes(112)), [(1001, bytes(112))]),
    ],
    ids=["empty", "small", "large", "two", "extend", "stamp", "discarded", "unused", "largest-small"],
)
def test_records(body: bytes, records: list[tuple[int, bytes]]) -> None:
    assert parse_page(page(body), LAYOUT) == Page(records)


def test_an_absolute_time_keeps_the_high_bits_of_the_page() -> None:
    high = 3 << 59
    assert parse_page(page(STAMP + SMALL, ts=high), LAYOUT).records[0][0] == high + (1 << 47) + 16


def test_missed_events_are_counted_where_the_kernel_says_how_many() -> None:
    told = page(SMALL, commit=len(SMALL) | MISSED | STORED, behind=struct.pack("<Q", 41))
    assert parse_page(told, LAYOUT) == Page([(1007, b"12345678")], lost=41)
    assert parse_page(page(SMALL, commit=len(SMALL) | MISSED), LAYOUT).lost == 1  # some: at least one


@pytest.mark.parametrize("size", range(16 + len(SMALL + LARGE)))
def test_a_page_cut_short_anywhere_keeps_what_came_before(size: int) -> None:
    got = parse_page(page(SMALL + LARGE)[:size], LAYOUT)
    assert got.damage
    whole = 16 + len(SMALL) <= size
    assert got.records == ([(1007, b"12345678")] if whole else [])


@pytest.mark.parametrize(
    "body",
    [
        event(0, 1, struct.pack("<I", 3)),  # smaller than the word that says so
        event(0, 1, struct.pack("<I", 0xFFFFFFFF) + b"1234"),
        event(28, 1, b"1234"),  # passes the end of the data
        event(29, 1, struct.pack("<I", 0x10000)),
    ],
)
def test_an_event_that_cannot_be_ends_the_page(body: bytes) -> None:
    got = parse_page(page(SMALL + body), LAYOUT)
    assert (len(got.records), bool(got.damage)) == (1, True)


@given(st.binary(max_size=4200))
def test_noise_never_raises(noise: bytes) -> None:
    got = parse_page(noise, LAYOUT)
    assert sum(len(record) for _, record in got.records) <= len(noise)


@given(st.binary(max_size=400), st.integers(0, (1 << 32) - 1))
def test_noise_behind_a_good_header_never_raises(noise: bytes, commit: int) -> None:
    parse_page(page(noise, commit=commit), LAYOUT)


# events/header_page of Linux 6.1, x86-64 and 32-bit
HEADER = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:1;
"""


def test_layout() -> None:
    assert parse_layout(HEADER) == PageLayout(8, 8, 16, 4096)
    small = HEADER.replace("size:8;	signed:1", "size:4;	signed:1").replace(
        "offset:16;	size:4080", "offset:12;	size:4084"
    )
    assert parse_layout(small) == PageLayout(8, 4, 12, 4096)


@pytest.mark.parametrize(
    "text", ["", "nonsense", HEADER.replace("commit", "commix"), HEADER.replace("offset:16", "offset:9")]
)
def test_no_layout(text: str) -> None:
    with pytest.raises(ValueError, match="events/header_page"):
        parse_layout(text)


def test_a_32_bit_kernel_counts_in_four_bytes() -> None:
    layout = PageLayout(8, 4, 12, 4096)
    body = struct.pack("<QI", 1000, len(SMALL) | MISSED | STORED) + SMALL + struct.pack("<I", 6)
    assert parse_page(body, layout) == Page([(1007, b"12345678")], lost=6)
