# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the records of a pcapng or pcap file are, found in bulk, some megabytes of the file at a time.

A pcapng block says its length at both ends. Every word that could begin a record, and whose length is there again where
the record would end, is a candidate; candidates count only as a chain in which each begins where the one before ended,
so that bytes which merely look like a block do no harm. Where the chain breaks, RecordReader reads one block and the
search goes on behind it: it alone decides what is damage.
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

_WINDOW = 6 << 20  # bytes of the file read at once: some ten thousand messages
# Bytes searched at once: few where the search had to begin again, at most so many that what is found is still in the
# processor's nearest cache when its headers are read.
_LEAST_SEARCH, _MOST_SEARCH = 1 << 12, 1 << 20
_LEAST_BLOCK = 32  # bytes of a record without data
_LEAST_RUN = 8  # records: fewer are read sooner one by one
_PCAP_HEAD = 16
_PCAP_RUN = 8192  # records


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
        found: list[I8] = []
        while (first := int(np.searchsorted(self._starts, at))) < len(self._starts) and self._starts[first] == at:
            place = int(np.searchsorted(self._breaks, first))
            last = int(self._breaks[place]) if place < len(self._breaks) else len(self._starts) - 1
            run = self._starts[first : last + 1]
            strange = np.flatnonzero(self._words[run + 2] >= len(reader.interfaces))
            if len(strange):
                run = run[: strange[0]]
                last = first + len(run) - 1
            if len(run):
                found.append(run)
                at = int(self._ends[last])
            if len(strange):
                break
        return np.concatenate(found) * 4 if found else np.empty(0, np.int64), self.base + at * 4

    def records(self, reader: RecordReader) -> tuple[I8, int]:
        """The same of a pcap file: nothing marks its records, each says where the next one is."""
        head = struct.Struct(reader.order + "8xI4x")
        if self._reaches_out(reader.offset, _PCAP_HEAD, head, _PCAP_HEAD):
            self._move(reader.offset)
        view, at, found, captured = self.data.data, reader.offset - self.base, array("q"), head.unpack_from
        while at + _PCAP_HEAD <= len(view) and len(found) < _PCAP_RUN:
            (size,) = captured(view, at)
            if size > MAX_BLOCK or at + _PCAP_HEAD + size > len(view):
                break
            found.append(at)
            at += _PCAP_HEAD + size
        return np.array(found, np.int64), self.base + at

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
