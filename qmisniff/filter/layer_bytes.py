# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the bytes that protocols span: `frame contains ...`, `qmi[0:2] == ...`, asked of the capture's bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qmisniff.filter.ast import Range
from qmisniff.filter.evaluate import passes
from qmisniff.filter.literals import Value
from qmisniff.filter.resolve import Compared, Constant, Contains, Exists, FieldValues, Matches, Sliced, Test
from qmisniff.filter.tlv_fields import values_of
from qmisniff.filter.verdict import Verdict
from qmisniff.frame import Link
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store.columns import Columns

LAYERS = frozenset({"frame", "qrtr", "qmux", "qmi", "qrtr.padding"})
_AT_ONCE = 1 << 20  # bytes searched in one go
_SPARSE = 8  # where the rows asked about are less than one in so many bytes, each is searched alone


class Span(NamedTuple):
    """Where in the buffer a layer begins and how many bytes it has, in the frames that have it."""

    start: Numbers
    size: Numbers
    present: Mask


def by_bytes(test: Test, names: frozenset[str], columns: Columns, wanted: Mask) -> Verdict:
    """A test all of whose fields are among LAYERS, asked about the rows that are wanted."""
    known = wanted if names == {"frame"} else wanted & columns.plain
    spans = {name: _span(name, columns) for name in names}
    if len(names) > 1:
        return _verdict(known, _one_by_one(test, columns, spans, known))
    (span,) = spans.values()
    rows = np.flatnonzero(known & span.present)
    starts, sizes = span.start[rows], span.size[rows]
    match test:
        case Exists(FieldValues()):
            found = np.ones(len(rows), bool)
        case Contains(_, FieldValues(), Constant(bytes(part))):
            found = _holding(part, columns, starts, sizes)
        case Matches(_, FieldValues(), _, expression):
            search = expression.search
            found = np.array([bool(search(raw)) for raw in values_of(columns, starts, sizes)], bool)
        case Compared("==" | "!=", _, FieldValues(), Constant(bytes(part))):
            found = _equal([Range(0, len(part))], part, columns, starts, sizes) & (sizes == len(part))
        case Compared("==" | "!=", _, Sliced(FieldValues(), ranges), Constant(bytes(part))) if _fits(ranges, part):
            found = _equal(ranges, part, columns, starts, sizes)
        case _:
            return _verdict(known, _one_by_one(test, columns, spans, known))
    if isinstance(test, Compared) and test.operator == "!=":
        found = ~found
    passed = np.zeros(len(columns), bool)
    passed[rows] = found
    return _verdict(known, passed)


def _verdict(known: Mask, passed: Mask) -> Verdict:
    return Verdict(known & passed, known & ~passed)


def _span(name: str, columns: Columns) -> Span:
    if name == "frame":
        return Span(columns.offset, columns.length, np.ones(len(columns), bool))
    begin, end = columns.offset + columns.message, columns.tlv_start + columns.tlv_length
    match name:
        case "qmi":
            return Span(begin, end - begin, columns.plain)
        case "qrtr":
            return Span(columns.offset, columns.message, columns.plain & (columns.link == Link.QRTR))
        case "qrtr.padding":
            left = columns.offset + columns.length - end
            return Span(end, left, columns.plain & (columns.link == Link.QRTR) & (left > 0))
    return Span(columns.offset, columns.message, columns.plain & (columns.link == Link.QMUX))


def _holding(part: bytes, columns: Columns, starts: Numbers, sizes: Numbers) -> Mask:
    """Which of these ranges of the buffer, which do not overlap, hold the bytes."""
    found = np.zeros(len(starts), bool)
    if (starts[1:] < starts[:-1]).any():
        order = np.argsort(starts)
        found[order] = _holding(part, columns, starts[order], sizes[order])
        return found
    ends = starts + sizes
    at = 0
    while at < len(starts):
        low = int(starts[at])
        stop = int(np.searchsorted(starts, low + _AT_ONCE))
        high = int(ends[at:stop].max())
        if (high - low) > _SPARSE * int(sizes[at:stop].sum()):
            found[at:stop] = [part in raw for raw in values_of(columns, starts[at:stop], sizes[at:stop])]
        else:
            text = columns.buffer[low:high].tobytes()
            hits = _hits(part, text, (starts[at:stop] - low).data, (ends[at:stop] - low).data)
            found[at:stop][hits] = True
        at = stop
    return found


def _hits(part: bytes, text: bytes, begins: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The numbers of the ranges of a text, in order, that hold the bytes; each is entered at most once."""
    found: list[int] = []
    at, count = 0, len(begins)
    place = text.find(part)
    while place >= 0:
        # Where most ranges hold the bytes the next one does.
        if at + 1 < count and begins[at + 1] <= place:
            at = bisect_right(begins, place, at + 1) - 1
        if place + len(part) <= ends[at]:
            found.append(at)
        at += 1
        if at == count:
            break
        place = text.find(part, begins[at])
    return found


def _length(part: Range) -> int:
    """Bytes of a part of a slice, 0 where that depends on the value."""
    if part.start < 0:
        return 0
    if part.last is not None:
        return max(part.last + 1 - part.start, 0)
    return part.length or 0


def _fits(ranges: Sequence[Range], part: bytes) -> bool:
    """Have these ranges of any value that is long enough as many bytes as this, and fewer of any other?"""
    lengths = [_length(each) for each in ranges]
    return all(lengths) and sum(lengths) == len(part)


def _equal(ranges: Sequence[Range], part: bytes, columns: Columns, starts: Numbers, sizes: Numbers) -> Mask:
    """Of which ranges of the buffer are the bytes of these slices, one after the other, these?"""
    lengths = [_length(each) for each in ranges]
    reach = max(each.start + length for each, length in zip(ranges, lengths, strict=True))
    rows = np.flatnonzero(sizes >= reach)
    wanted, at = np.frombuffer(part, np.uint8), 0
    for each, length in zip(ranges, lengths, strict=True):
        found = columns.take(starts[rows] + each.start, length)
        rows = rows[(found == wanted[at : at + length]).all(axis=1)]
        at += length
    passed = np.zeros(len(starts), bool)
    passed[rows] = True
    return passed


def _one_by_one(test: Test, columns: Columns, spans: Mapping[str, Span], known: Mask) -> Mask:
    rows = np.flatnonzero(known)
    buffer = columns.buffer.data
    ranges = {
        name: zip(*(part[rows].tolist() for part in (span.start, span.size, span.present)), strict=True)
        for name, span in spans.items()
    }
    passed = np.zeros(len(columns), bool)
    for row in rows.tolist():
        frame = _Layers(
            {
                name: bytes(buffer[start : start + size]) if present else None
                for name, (start, size, present) in ((name, next(each)) for name, each in ranges.items())
            }
        )
        passed[row] = passes(test, frame)
    return passed


class _Layers:
    """A frame of which only the bytes of some layers are known."""

    def __init__(self, layers: Mapping[str, bytes | None]) -> None:
        self._layers = layers

    def values(self, field: FieldValues) -> Sequence[Value]:
        found = self._layers[field.name]
        return () if found is None else (found,)
