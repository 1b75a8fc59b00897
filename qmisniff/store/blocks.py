# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the records of a mapped pcapng or pcap file are, found in bulk.

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
from qmisniff.store.headers import I8, U1, Any1

_LEAST_WINDOW, _MOST_WINDOW = 1 << 12, 1 << 22  # bytes searched at once: few where the search had to begin again
_LEAST_BLOCK = 32  # bytes of a record without data
_LEAST_RUN = 8  # records: fewer are read sooner one by one
_PCAP_HEAD = 16
_PCAP_RUN = 32768  # records


class Run(NamedTuple):
    """Records that follow each other in one section: where their blocks begin. Their lengths have been checked."""

    starts: I8
    order: str
    interfaces: list[Interface]
    classic: bool  # pcap records, not pcapng blocks


def runs(data: U1, reader: RecordReader) -> Iterator[Run | Record]:
    """All records of a file in order. What only the reader understands comes as a Record."""
    search = _Search(data)
    while True:
        starts, end = _pcap(data, reader) if reader.classic else search.chain(reader)
        if len(starts) >= _LEAST_RUN:
            yield Run(starts, reader.order, reader.interfaces, reader.classic)
            reader.skip_to(end)
            continue
        step = reader.step()
        if step is END:
            return
        if step is not None:
            yield step


class _Search:
    """Candidates of one window of the file at a time, all counted in words of four bytes."""

    def __init__(self, data: U1) -> None:
        self._data = data
        self._order = ""
        self._window = _LEAST_WINDOW
        self._low = self._high = 0
        self._words: Any1 = np.empty(0, np.uint32)
        self._starts = self._ends = self._breaks = np.empty(0, np.int64)

    def chain(self, reader: RecordReader) -> tuple[I8, int]:
        """Where the records begin that follow each other from the reader's offset on, and where the last one ends."""
        at = reader.offset // 4
        if self._order != reader.order:
            self._order, self._window = reader.order, _LEAST_WINDOW
            self._words = self._data[: len(self._data) & ~3].view(reader.order + "u4")
            self._look(at)
        elif not self._low <= at < self._high:
            self._window = min(2 * self._window, _MOST_WINDOW)
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
        return np.concatenate(found) * 4 if found else np.empty(0, np.int64), at * 4

    def _look(self, at: int) -> None:
        """Find the candidates of the window that begins at word `at`."""
        words, total = self._words, len(self._words)
        self._low, self._high = at, at + self._window // 4
        # A record has at least eight words: none begins in the last seven.
        starts = np.flatnonzero(words[at : max(at, min(self._high, total - 7))] == PACKET.code) + at
        length = words[starts + 1].astype(np.int64)
        ends = starts + length // 4
        sane = (length >= _LEAST_BLOCK) & (length % 4 == 0) & (length <= MAX_BLOCK) & (ends <= total)
        starts, length, ends = starts[sane], length[sane], ends[sane]
        sane = (words[ends - 1] == length) & (words[starts + 5] <= length - _LEAST_BLOCK)
        self._starts, self._ends = starts[sane], ends[sane]
        self._breaks = np.flatnonzero(self._starts[1:] != self._ends[:-1])


def _pcap(data: U1, reader: RecordReader) -> tuple[I8, int]:
    """The records of a pcap file from the reader's offset on: nothing marks them, each says where the next one is."""
    captured = struct.Struct(reader.order + "8xI4x").unpack_from
    view, at, found = data.data, reader.offset, array("q")
    while at + _PCAP_HEAD <= len(view) and len(found) < _PCAP_RUN:
        (size,) = captured(view, at)
        if size > MAX_BLOCK or at + _PCAP_HEAD + size > len(view):
            break
        found.append(at)
        at += _PCAP_HEAD + size
    return np.array(found, np.int64), at
