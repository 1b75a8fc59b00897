# SPDX-License-Identifier: GPL-2.0-or-later
"""Comments of packets in capture files: pcapng's option opt_comment of packet blocks.

Layout: draft-ietf-opsawg-pcapng, sections 3.1 and 3.5.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from qmisniff import pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.export.pcapng import Change, Packet
from qmisniff.pcapng import Record
from qmisniff.readers.compressed import expand

_MOST = 0xFFFF  # bytes of an option
_TURN = 256  # blocks read before other threads get their turn: half a millisecond
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
                return _read(stream)
    except (OSError, CaptureFileError):
        return {}


def _read(stream: BinaryIO) -> dict[int, str]:
    found: dict[int, str] = {}
    if stream.read(4) != _SECTION:
        return found
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
                texts = [value.decode("utf-8", "replace") for option, value in _options(options, order) if option == 1]
                if texts:
                    found[row] = "\n".join(texts)
            row += 1
        elif code == pcapng.INTERFACE.code:
            interfaces += 1
        elif code == pcapng.SIMPLE_PACKET.code and interfaces:
            row += 1
        skip(length - had, 1)
    return found


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
