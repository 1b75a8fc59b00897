# SPDX-License-Identifier: GPL-2.0-or-later
"""What people noted about packets, in capture files: comments and marks.

Comments are pcapng's option opt_comment of packet blocks (draft-ietf-opsawg-pcapng, sections 3.1 and 3.5). For a mark
pcapng has no place. A packet may have several comments, though: one of them, of a fixed text, is the mark. Wireshark
shows it, finds it (`frame.comment`), keeps it, and can set it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qmisniff import pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.export.pcapng import Change, Packet
from qmisniff.pcapng import Record
from qmisniff.readers.compressed import expand

MARK = "qmisniff: marked"
_MARK = (pcapng.OPT_COMMENT, MARK.encode())
_MOST = 0xFFFF  # bytes of an option
_TURN = 256  # blocks read before other threads get their turn: half a millisecond
_SECTION = struct.pack("<I", pcapng.SECTION.code)
_LITTLE = struct.pack("<I", 0x1A2B3C4D)


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
                return notes_in(stream)
    except (OSError, CaptureFileError):
        return Notes()


def notes_in(stream: BinaryIO) -> Notes:
    """The same of an open file that is not compressed."""
    comments: dict[int, str] = {}
    marked: set[int] = set()
    stream.seek(0)
    if stream.read(4) != _SECTION:
        return Notes()
    stream.seek(0)
    row, interfaces, order = 0, 0, "<"
    left = _TURN
    read, skip = stream.read, stream.seek
    while len(head := read(8)) == 8:
        left -= 1
        if not left:
            left = _TURN
            time.sleep(0.00001)  # the screen's thread would wait 5 ms for its turn each time it has waited for a key
        if head[:4] == _SECTION:
            order = "<" if read(4) == _LITTLE else ">"
            interfaces, had = 0, 12
        else:
            had = 8
        code, length = struct.unpack(order + "II", head)
        if length < 12 or length % 4 or length > pcapng.MAX_BLOCK:
            break
        if code == pcapng.PACKET.code:
            fixed = read(20)
            had += len(fixed)
            if len(fixed) < 20:
                break
            behind = (struct.unpack_from(order + "I", fixed, 12)[0] + 3) & ~3
            if length - had - behind - 4 >= 8:
                skip(behind, 1)
                options = read(length - had - behind - 4)
                had += behind + len(options)
                found = [each for each in pcapng.list_options(options, 0, order) if each[0] == pcapng.OPT_COMMENT]
                if _MARK in found:
                    marked.add(row)
                if texts := [value.decode("utf-8", "replace") for code, value in found if (code, value) != _MARK]:
                    comments[row] = "\n".join(texts)
            row += 1
        elif code == pcapng.INTERFACE.code:
            interfaces += 1
        elif code == pcapng.SIMPLE_PACKET.code and interfaces:
            row += 1
        skip(length - had, 1)
    return Notes(comments, marked)


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
