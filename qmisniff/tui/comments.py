# SPDX-License-Identifier: GPL-2.0-or-later
"""Comments of packets in capture files: pcapng's option opt_comment of packet blocks.

Layout: draft-ietf-opsawg-pcapng, sections 3.1 and 3.5.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from qmisniff import pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.export.pcapng import Change, Packet
from qmisniff.pcapng import Record, RecordReader
from qmisniff.store.compressed import expand
from qmisniff.store.file_bytes import FileBytes

_MOST = 0xFFFF  # bytes of an option
_TURN = 256  # blocks read before other threads get their turn: a millisecond
_PACKET_HEAD = 28  # bytes of a packet block before its data
LARGE = 3 << 20  # bytes of a file that is searched in bulk
_SECTION = struct.pack("<I", pcapng.SECTION.code)
_LITTLE = struct.pack("<I", 0x1A2B3C4D)


def read_comments(path: Path) -> dict[int, str]:
    """The comments of a capture file by row, several of one packet as lines of one text.

    Nothing for what is no pcapng; what is damaged is read as far as it goes.
    """
    try:
        with path.open("rb") as file:
            stream, _ = expand(file, path.name)
            with stream:
                return _read(stream, path.name)
    except (OSError, CaptureFileError):
        return {}


def _read(stream: BinaryIO, name: str) -> dict[int, str]:
    reader, file = RecordReader(stream, name), FileBytes(stream)
    found: dict[int, str] = {}
    row = 0
    for records, places in _commented(file, reader):
        for record, start, end in places:
            options = _options(file.few(start, end - start), reader.order)
            texts = [value.decode("utf-8", "replace") for code, value in options if code == pcapng.OPT_COMMENT]
            if texts:
                found[row + record] = "\n".join(texts)
        row += records
    return found


def _commented(file: FileBytes, reader: RecordReader) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Some records at a time: how many, and which of them may have a comment, with where their options are."""
    if reader.classic:
        return
    if file.size() > LARGE:
        from qmisniff.store.blocks import runs
        from qmisniff.tui.commented import commented

        for found in runs(file, reader):
            if isinstance(found, Record):
                yield 1, _of_record(found, file, reader)
            else:
                yield len(found.starts), commented(found)
        return
    for turn, record in enumerate(reader):
        if not turn % _TURN:
            time.sleep(0.00001)  # the screen's thread would wait 5 ms for its turn each time it has waited for a key
        yield 1, _of_record(record, file, reader)


def _of_record(record: Record, file: FileBytes, reader: RecordReader) -> list[tuple[int, int, int]]:
    """The same for the record that was just read."""
    end = reader.offset - 4
    start = record.place + (len(record.data) + 3 & ~3)
    (length,) = struct.unpack(reader.order + "I", file.few(end, 4).ljust(4, b"\0"))
    is_simple = record.place != reader.offset - length + _PACKET_HEAD  # such a block has no options
    return [] if is_simple or end - start < 8 else [(0, start, end)]


def _options(data: bytes, order: str) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        at += 4
        if code == pcapng.OPT_END or at + size > len(data):
            break
        found.append((code, data[at : at + size]))
        at += (size + 3) & ~3
    return found


def commenting(before: Mapping[int, str], now: Mapping[int, str], order: str) -> Change:
    """What a Copier does to each packet so that it has the comments of `now`; one that keeps its comment is as it was.

    `order` is the byte order of the file that is copied.
    """

    def change(row: int, record: Record, packet: Packet) -> Packet:
        text = now.get(row, "")
        if text == before.get(row, ""):
            return packet
        kept = [(code, value) for code, value in _options(packet.options, order) if code != pcapng.OPT_COMMENT]
        if text:
            kept.insert(0, (pcapng.OPT_COMMENT, _clipped(text)))
        parts = [struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in kept]
        return packet._replace(options=b"".join(parts) + bytes(4) if kept else b"")

    return change


def _clipped(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:_MOST].decode("utf-8", "ignore").encode()


def byte_order(stream: BinaryIO) -> str:
    """The byte order of a pcapng file's first section, "<" for any other file; the stream stands at its beginning."""
    stream.seek(0)
    head = stream.read(12)
    stream.seek(0)
    return ">" if head[:4] == _SECTION and head[8:12] != _LITTLE else "<"
