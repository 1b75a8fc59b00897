# SPDX-License-Identifier: GPL-2.0-or-later
"""A mapped file into a store, some hundred thousand rows at a time."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

from qmisniff.pcapng import Record, RecordReader
from qmisniff.protocol import qrtr
from qmisniff.store import Store
from qmisniff.store.blocks import runs
from qmisniff.store.chunk import CAPACITY, COLUMNS, Chunk
from qmisniff.store.headers import U1, U4, U8, Any1, Headers, gather, read_headers
from qmisniff.store.records import Describer, Frames
from qmisniff.tracker import bulk as tracker

_ROWS = 1 << 18  # tracked at once
_STRANGE = 4096  # records read one by one before they become columns


def load(mapped: mmap.mmap, reader: RecordReader, store: Store) -> Iterator[int]:
    """Append every frame of the file; yields how many packets were lost before those just appended."""
    data = np.frombuffer(mapped, np.uint8)
    pieces: list[Frames] = []
    count = 0
    for piece in _pieces(data, reader, Describer(data, store.names)):
        pieces.append(piece)
        count += len(piece.ts_ns)
        if count >= _ROWS:
            yield _append(mapped, data, pieces, store)
            pieces, count = [], 0
    if pieces:
        yield _append(mapped, data, pieces, store)


def _pieces(data: U1, reader: RecordReader, describer: Describer) -> Iterator[Frames]:
    strange: list[Record] = []
    for found in runs(data, reader):
        if isinstance(found, Record):
            strange.append(found)
            if len(strange) < _STRANGE:
                continue
        if strange:
            yield describer.one_by_one(strange)
            strange = []
        if not isinstance(found, Record):
            yield describer.run(found)
    if strange:
        yield describer.one_by_one(strange)


def _append(mapped: mmap.mmap, data: U1, pieces: list[Frames], store: Store) -> int:
    columns = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in COLUMNS}
    ts_ns = np.concatenate([piece.ts_ns for piece in pieces])
    lost: dict[int, int] = {}
    base = 0
    for piece in pieces:
        lost.update((base + row, count) for row, count in piece.lost.items())
        base += len(piece.ts_ns)
    headers = Headers.empty(len(ts_ns))
    chunks = []
    for start in range(0, len(ts_ns), CAPACITY):
        stop = min(start + CAPACITY, len(ts_ns))
        part = {name: column[start:stop] for name, column in columns.items()}
        own = headers.run(start, stop)
        read_headers(data, part["offset"], part["length"], part["link"], own)
        chunk = Chunk({name: column.data for name, column in part.items()}, mapped, stop - start, {})
        chunk.headers = own, stop - start
        chunks.append(chunk)
    for row, count in lost.items():
        chunks[row // CAPACITY].lost[row % CAPACITY] = count
    tracker.add(store.tracker, _seen(data, columns, ts_ns, headers))
    store.extend_chunks(chunks)
    return sum(lost.values())


def _seen(data: U1, columns: dict[str, Any1], ts_ns: Any1, headers: Headers) -> tracker.Seen:
    """What the tracker asks of frames."""
    offset, length = columns["offset"], columns["length"]
    command = np.zeros(len(ts_ns), np.uint32)
    rows = np.flatnonzero((headers.packet != 0) & (headers.packet != qrtr.DATA))
    if len(rows):
        version = data[offset[rows]]
        payload = np.full(len(rows), qrtr.V1.size, np.int64)
        second = version == 3
        payload[second] = qrtr.V2.size + data[offset[rows[second]] + 3]
        inside = payload + 20 <= length[rows]
        rows, payload = rows[inside], payload[inside]
        command[rows] = gather(data, offset[rows] + payload, np.dtype("<u4"))

    def address(node: U4, port: U4) -> U8:
        return node.astype(np.uint64) << np.uint64(32) | port

    return tracker.Seen(
        data, offset, length, ts_ns, columns["link"], headers.packet, command,
        address(headers.src_node, headers.src_port), address(headers.dst_node, headers.dst_port),
        headers.type, headers.txn, headers.msgid, headers.paired,
    )  # fmt: skip
