# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of the kernel's trace ring buffer, as per_cpu/cpuN/trace_pipe_raw gives them: bytes -> records, no I/O.

Layout: events/header_page and events/header_event in tracefs; include/linux/ring_buffer.h and
kernel/trace/ring_buffer.c of the kernel. Little-endian.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from qmisniff.capture.event_format import parse_fields

# `type_len`, the low five bits of an event's first word: up to 28 it is the size of the data in words, 0 says that the
# next word holds it in bytes; the rest are no data.
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_MISSED, _MISSED_STORED = 1 << 31, 1 << 30
_SIZE = (1 << 27) - 1
_WORD = struct.Struct("<I")
_TIME_MASK = (1 << 59) - 1  # an absolute timestamp has 59 bits


class PageLayout(NamedTuple):
    """Where a page's header fields are: bytes from its start; `size` is that of the whole page."""

    commit_at: int = 8
    commit_size: int = 8
    data_at: int = 16
    size: int = 4096


class Page(NamedTuple):
    """What a page held: of each event nanoseconds of the trace clock and the record, beginning with common_type.

    `lost` events were overwritten just before it; `damage` says where it is not well-formed.
    """

    records: list[tuple[int, bytes]]  # no class of their own: there are very many
    lost: int = 0
    damage: str = ""


def parse_layout(header_page: str) -> PageLayout:
    """The layout that events/header_page describes; ValueError when it names no commit or data."""
    fields = parse_fields(header_page)
    if "commit" not in fields or "data" not in fields:
        raise ValueError("events/header_page names no commit or data")
    commit, data = fields["commit"], fields["data"]
    if commit.size not in (4, 8) or commit.offset + commit.size > data.offset:
        raise ValueError("events/header_page is not that of a ring buffer")
    return PageLayout(commit.offset, commit.size, data.offset, data.offset + data.size)


def parse_page(page: bytes, layout: PageLayout) -> Page:
    """Take a page apart. Never raises: what is damaged ends the page, what came before it is kept."""
    if len(page) < layout.data_at:
        return Page([], 0, f"{len(page)} bytes of a page header")
    ts = int.from_bytes(page[:8], "little")
    commit = int.from_bytes(page[layout.commit_at : layout.commit_at + layout.commit_size], "little")
    at = layout.data_at
    end = at + (commit & _SIZE)
    lost = 0
    if commit & _MISSED:
        # The number stands behind the data where there was room for it; otherwise all that is known is "some".
        lost = 1
        if commit & _MISSED_STORED and end + layout.commit_size <= len(page):
            lost = int.from_bytes(page[end : end + layout.commit_size], "little") or 1
    damage = ""
    if end > len(page):
        damage = f"a page of {len(page)} bytes claims {end}"
        end = len(page)

    records: list[tuple[int, bytes]] = []
    word = _WORD.unpack_from
    while at + 4 <= end:
        head = word(page, at)[0]
        kind, delta = head & 31, head >> 5
        at += 4
        if kind and kind < _PADDING:
            size = kind * 4
            ts += delta
            if at + size > end:
                damage = damage or f"an event of {size} bytes at {at} passes the end of the data"
                break
            records.append((ts, page[at : at + size]))
            at += size
            continue
        if kind == _PADDING and not delta:
            break  # the rest of the page is unused
        if at + 4 > end:
            damage = damage or f"an event at {at - 4} is cut short"
            break
        value = word(page, at)[0]
        if kind == _TIME_EXTEND:
            ts += value << 27 | delta
            at += 4
        elif kind == _TIME_STAMP:
            ts = (ts & ~_TIME_MASK) | value << 27 | delta
            at += 4
        else:  # data with its size in front, or a discarded event: the size counts its own word
            ts += delta
            size = (value + 3) & ~3
            if value < 4 or at + size > end:
                damage = damage or f"an event of {value} bytes at {at} does not fit"
                break
            if not kind:
                records.append((ts, page[at + 4 : at + value]))
            at += size
    return Page(records, lost, damage)
