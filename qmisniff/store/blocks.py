# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the records of a pcapng or pcap file are, found in bulk, some megabytes of the file at a time.

Every place that could begin a record is a candidate; candidates count only as a chain in which each begins where the
one before ended, so that bytes which merely look like a record do no harm. Where the chain breaks, RecordReader reads
one record and the search goes on behind it: it alone decides what is damage.

A pcapng block says its length at both ends: a candidate is a word that could begin one, and whose length is there again
where the block would end. Nothing marks a pcap record but its time: a candidate has the upper half of the seconds of
the record that is next, which is another one every 18 hours.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from qmisniff.pcapng import END, MAX_BLOCK, PACKET, Interface, Record, RecordReader
from qmisniff.protocol.arrays import I8, U1, Numbers
from qmisniff.store.file_bytes import FileBytes
from qmisniff.store.headers import gather

_WINDOW = 6 << 20  # bytes of the file read at once: some ten thousand messages
# Bytes searched at once: few where the search had to begin again, at most so many that what is found is still in the
# processor's nearest cache when its headers are read.
_LEAST_SEARCH, _MOST_SEARCH = 1 << 12, 1 << 20
_LEAST_BLOCK = 32  # bytes of a record without data
_LEAST_RUN = 8  # records: fewer are read sooner one by one
_PCAP_HEAD = 16
_PCAP_RUN = 8192  # records found one by one


class Run(NamedTuple):
    """Records that follow each other in one section: where their blocks begin in `data`, which is the file from `base`
    on. Their lengths have been checked."""

    data: U1
    base: int
    starts: I8
    order: str
    interfaces: list[Interface]
    classic: bool  # pcap records, not pcapng blocks


def runs(file: FileBytes, reader: RecordReader) -> Iterator[Run | Record]:
    """All records of a file in order. What only the reader understands comes as a Record."""
    search = _Search(file)
    find = search.records if reader.classic else search.chain
    while True:
        starts, end = find(reader)
        if len(starts) >= _LEAST_RUN:
            yield Run(search.data, search.base, starts, reader.order, reader.interfaces, reader.classic)
            reader.skip_to(end)
            continue
        step = reader.step()
        if step is END:
            return
        if step is not None:
            yield step


class _Search:
    """A window of the file, and the candidates in part of it; these are counted in words of four bytes."""

    def __init__(self, file: FileBytes) -> None:
        self.data: U1 = np.empty(0, np.uint8)
        self.base = 0
        self._file = file
        self._order = ""
        self._search = _LEAST_SEARCH
        self._low = self._high = 0
        self._words: Numbers = np.empty(0, np.uint32)
        self._starts = self._ends = self._breaks = np.empty(0, np.int64)

    def chain(self, reader: RecordReader) -> tuple[I8, int]:
        """Where in `data` the records begin that follow each other from the reader's offset on, and where in the file
        the last one ends."""
        if self._order != reader.order:
            self._order, self._search = reader.order, _LEAST_SEARCH
            self._move(reader.offset)
        elif self._reaches_out(reader.offset, 8, struct.Struct(reader.order + "4xI"), 0):
            self._move(reader.offset)
        at = (reader.offset - self.base) // 4
        if not self._low <= at < self._high:
            self._look(at)
        run, at = _linked(self._starts, self._ends, self._breaks, at)
        strange = np.flatnonzero(self._words[run + 2] >= len(reader.interfaces))
        if len(strange):
            run, at = run[: strange[0]], int(run[strange[0]])
        return run * 4, self.base + at * 4

    def records(self, reader: RecordReader) -> tuple[I8, int]:
        """The same of a pcap file."""
        head = struct.Struct(reader.order + "8xI4x")
        if self._reaches_out(reader.offset, _PCAP_HEAD, head, _PCAP_HEAD):
            self._move(reader.offset)
        at, end = reader.offset - self.base, 0
        found = np.empty(0, np.int64)
        if at + _PCAP_HEAD < len(self.data):
            stop = min(at + self._search, len(self.data) - _PCAP_HEAD + 1)
            found, end = self._dated(at, stop, reader.order)
            through = end >= stop or self._reaches_out(self.base + end, _PCAP_HEAD, head, _PCAP_HEAD)
            self._search = min(2 * self._search, _MOST_SEARCH) if through else _LEAST_SEARCH
        if len(found) < _LEAST_RUN:
            found, end = self._one_by_one(at, head)
        return found, self.base + end

    def _dated(self, at: int, stop: int, order: str) -> tuple[I8, int]:
        """The pcap records that follow each other from `at` on, begin before `stop` and have times alike, and where the
        last one ends. None where more looks like records than there is room for: times of zero do."""
        upper = self.data[at + (2 if order == "<" else 0) :][: stop - at + 1]
        pairs = np.ndarray((2, (stop - at) // 2), "u2", upper, strides=(1, 2))  # a record may begin at any byte
        even, odd = (np.flatnonzero(row == pairs[0, 0]) for row in pairs)
        if (len(even) + len(odd)) * _PCAP_HEAD > stop - at + _PCAP_HEAD:
            return np.empty(0, np.int64), at
        starts = np.sort(np.concatenate([2 * even, 2 * odd + 1])) + at
        size = gather(self.data, starts + 8, np.dtype(order + "u4")).astype(np.int64)
        ends = starts + _PCAP_HEAD + size
        sane = (size <= MAX_BLOCK) & (ends <= len(self.data))
        starts, ends = starts[sane], ends[sane]
        return _linked(starts, ends, np.flatnonzero(starts[1:] != ends[:-1]), at)

    def _one_by_one(self, at: int, head: struct.Struct) -> tuple[I8, int]:
        """The same of any times: each record says where the next one is."""
        view, found, captured = self.data.data, array("q"), head.unpack_from
        while at + _PCAP_HEAD <= len(view) and len(found) < _PCAP_RUN:
            (size,) = captured(view, at)
            if size > MAX_BLOCK or at + _PCAP_HEAD + size > len(view):
                break
            found.append(at)
            at += _PCAP_HEAD + size
        return np.array(found, np.int64), at

    def _reaches_out(self, offset: int, least: int, head: struct.Struct, more: int) -> bool:
        """Whether what begins at this offset of the file is not whole in the window. It has at least so many bytes;
        `head` finds its length, to which `more` are added."""
        at, end = offset - self.base, len(self.data)
        if not 0 <= at <= end - least:
            return True
        (length,) = head.unpack_from(self.data.data, at)
        return at > 0 and int(length) + more > end - at

    def _move(self, offset: int) -> None:
        """Read the window that begins there."""
        self.base = offset
        self.data = np.frombuffer(self._file.window(offset, _WINDOW), np.uint8)
        self._low = self._high = 0
        if self._order:
            self._words = self.data[: len(self.data) & ~3].view(self._order + "u4")

    def _look(self, at: int) -> None:
        """Find the candidates from word `at` on."""
        words, total = self._words, len(self._words)
        self._low, self._high = at, at + self._search // 4
        self._search = min(2 * self._search, _MOST_SEARCH)
        # A record has at least eight words: none begins in the last seven.
        starts = np.flatnonzero(words[at : max(at, min(self._high, total - 7))] == PACKET.code) + at
        length = words[starts + 1].astype(np.int64)
        ends = starts + (length >> 2)
        sane = (length >= _LEAST_BLOCK) & (length & 3 == 0) & (length <= MAX_BLOCK) & (ends <= total)
        if not sane.all():
            starts, length, ends = starts[sane], length[sane], ends[sane]
        sane = (words[ends - 1] == length) & (words[starts + 5] <= length - _LEAST_BLOCK)
        if not sane.all():
            starts, ends = starts[sane], ends[sane]
        self._starts, self._ends = starts, ends
        self._breaks = np.flatnonzero(starts[1:] != ends[:-1])


def _linked(starts: I8, ends: I8, breaks: I8, at: int) -> tuple[I8, int]:
    """Those of the candidates that follow each other from `at` on, and where the last one ends; `breaks` are the
    candidates that do not end where the next one begins."""
    found: list[I8] = []
    while (first := int(np.searchsorted(starts, at))) < len(starts) and starts[first] == at:
        place = int(np.searchsorted(breaks, first))
        last = int(breaks[place]) if place < len(breaks) else len(starts) - 1
        found.append(starts[first : last + 1])
        at = int(ends[last])
    return np.concatenate(found) if found else np.empty(0, np.int64), at
