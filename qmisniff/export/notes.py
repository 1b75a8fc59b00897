# SPDX-License-Identifier: GPL-2.0-or-later
"""What people noted about packets, in capture files: comments and marks.

Comments are pcapng's option opt_comment of packet blocks (draft-ietf-opsawg-pcapng, sections 3.1 and 3.5). For a mark
pcapng has no place. A packet may have several comments, though: one of them, of a fixed text, is the mark. Wireshark
shows it, finds it (`frame.comment`), keeps it, and can set it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qmisniff import pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.export.pcapng import Change, Packet
from qmisniff.pcapng import Record, RecordReader
from qmisniff.readers.compressed import expand
from qmisniff.store.file_bytes import FileBytes

MARK = "qmisniff: marked"
_MARK = (pcapng.OPT_COMMENT, MARK.encode())
_MOST = 0xFFFF  # bytes of an option
_TURN = 256  # blocks read before other threads get their turn: a millisecond
_PACKET_HEAD = 28  # bytes of a packet block before its data
LARGE = 3 << 20  # bytes of a file that is searched in bulk


class Notes(NamedTuple):
    """Comments, several of one packet as lines of one text, and marks. Rows are frame numbers less one."""

    comments: Mapping[int, str] = {}
    marked: Set[int] = frozenset()


def read_notes(path: Path) -> Notes:
    """The notes in a capture file. None in what is no pcapng; what is damaged is read as far as it goes."""
    try:
        with path.open("rb") as file:
            stream, _ = expand(file, path.name)
            with stream:
                return notes_in(stream, path.name)
    except (OSError, CaptureFileError):
        return Notes()


def notes_in(stream: BinaryIO, name: str) -> Notes:
    """The same of an open file that is not compressed."""
    stream.seek(0)
    try:
        reader = RecordReader(stream, name)
    except CaptureFileError:
        return Notes()
    file = FileBytes(stream)
    comments: dict[int, str] = {}
    marked: set[int] = set()
    row = 0
    for records, places in _noted(file, reader):
        for record, start, end in places:
            options = pcapng.list_options(file.few(start, end - start), 0, reader.order)
            found = [each for each in options if each[0] == pcapng.OPT_COMMENT]
            if _MARK in found:
                marked.add(row + record)
            if texts := [value.decode("utf-8", "replace") for code, value in found if (code, value) != _MARK]:
                comments[row + record] = "\n".join(texts)
        row += records
    return Notes(comments, marked)


def _noted(file: FileBytes, reader: RecordReader) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Some records at a time: how many, and which of them may have a comment, with where their options are."""
    if reader.classic:
        return
    if file.size() > LARGE:
        from qmisniff.export.commented import commented
        from qmisniff.store.blocks import runs

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


def noting(before: Notes, now: Notes) -> Change:
    """What a Copier does to each packet so that it has the notes of `now`; one that keeps its notes is as it was."""

    def change(row: int, record: Record, packet: Packet) -> list[Packet]:
        text, marked = now.comments.get(row, ""), row in now.marked
        if (text, marked) == (before.comments.get(row, ""), row in before.marked):
            return [packet]
        kept = [each for each in pcapng.list_options(packet.options, 0, packet.order) if each != _MARK]
        if text != before.comments.get(row, ""):
            kept = [each for each in kept if each[0] != pcapng.OPT_COMMENT]
            if text:
                kept.insert(0, (pcapng.OPT_COMMENT, _clipped(text)))
        if marked:
            kept.append(_MARK)
        return [packet._replace(options=pcapng.pack_options(kept, packet.order))]

    return change


def _clipped(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:_MOST].decode("utf-8", "ignore").encode()
