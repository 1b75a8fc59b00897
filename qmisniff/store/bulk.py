# SPDX-License-Identifier: GPL-2.0-or-later
"""A file into a store in bulk: a chunk for each window of the file, or for several where their rows are few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qmisniff.pcapng import Record, RecordReader
from qmisniff.protocol.arrays import Numbers
from qmisniff.store import Store
from qmisniff.store.blocks import runs
from qmisniff.store.chunk import CAPACITY, COLUMNS, MOST_BYTES, Chunk
from qmisniff.store.file_bytes import FileBytes, Span
from qmisniff.store.headers import Headers
from qmisniff.store.records import Describer, Frames
from qmisniff.tracker import bulk as tracker

_MOST_ROWS = 2 * CAPACITY  # of a chunk
_FEW_ROWS = CAPACITY // 4  # windows with fewer share a chunk
_STRANGE = 4096  # records read one by one before they become columns,
_STRANGE_BYTES = 1 << 22  # and bytes in them


def load(file: FileBytes, reader: RecordReader, store: Store) -> Iterator[int]:
    """Append every frame of the file; yields how many packets were lost before those just appended."""
    pieces: list[Frames] = []
    rows = 0
    for piece in _pieces(file, reader, Describer(store.names, store.flows)):
        if pieces and (
            rows + len(piece.place) > _MOST_ROWS
            or (rows >= _FEW_ROWS and piece.window != pieces[-1].window)
            or piece.place[-1] - pieces[0].place[0] > MOST_BYTES
            or piece.turned is not None
            or pieces[-1].turned is not None
        ):
            yield _append(file, pieces, store)
            pieces, rows = [], 0
        pieces.append(piece)
        rows += len(piece.place)
    if pieces:
        yield _append(file, pieces, store)
    file.forget()


def _pieces(file: FileBytes, reader: RecordReader, describer: Describer) -> Iterator[Frames]:
    strange: list[Record] = []
    size = 0
    for found in runs(file, reader):
        if isinstance(found, Record):
            strange.append(found)
            size += len(found.data)
            if len(strange) < _STRANGE and size < _STRANGE_BYTES:
                continue
        if strange:
            yield describer.one_by_one(strange)
            strange, size = [], 0
        if not isinstance(found, Record):
            yield describer.run(found)
    if strange:
        yield describer.one_by_one(strange)


def _append(file: FileBytes, pieces: list[Frames], store: Store) -> int:
    columns = {name: _joined([piece.columns[name] for piece in pieces]) for name in pieces[0].columns}
    place, ts_ns = _joined([piece.place for piece in pieces]), _joined([piece.ts_ns for piece in pieces])
    headers = Headers(*(_joined(list(parts)) for parts in zip(*(piece.headers for piece in pieces), strict=True)))
    lost: dict[int, int] = {}
    base = 0
    for piece in pieces:
        lost.update((base + row, count) for row, count in piece.lost.items())
        base += len(piece.place)
    start, buffer = _buffer(file, pieces, columns["length"])
    columns["offset"] = place - start
    narrow = {name: _narrow(columns[name]).data for name in COLUMNS}
    if (columns["orig_len"] == columns["length"]).all():
        narrow["orig_len"] = narrow["length"]
    chunk = Chunk(narrow, buffer, len(place), lost)
    chunk.headers = headers, len(place)
    data = np.frombuffer(buffer.all() if isinstance(buffer, Span) else buffer, np.uint8)
    seen = tracker.Seen(
        data, columns["offset"], columns["length"], columns["orig_len"], ts_ns,
        columns["link"],
        headers.packet, headers.flow, headers.type, headers.txn, headers.msgid, headers.paired,
    )  # fmt: skip
    tracker.add(store.tracker, store.flows, seen)
    store.extend_chunks([chunk])
    return sum(lost.values())


def _buffer(file: FileBytes, pieces: list[Frames], length: Numbers) -> tuple[int, Span | bytes]:
    """The bytes of the frames of these pieces, and which place of theirs is the first in them."""
    if pieces[0].turned is not None:
        return 0, pieces[0].turned
    start = int(pieces[0].place[0])
    return start, Span(file, start, int(pieces[-1].place[-1]) + int(length[-1]) - start)


def _joined(parts: list[Numbers]) -> Numbers:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _narrow(column: Numbers) -> Numbers:
    """The same numbers in as few bytes as will do."""
    most = int(column.max(initial=0))
    return column.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)
