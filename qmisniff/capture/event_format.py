# SPDX-License-Identifier: GPL-2.0-or-later
"""The `format` files of tracefs: where the fields of an event's record are, and how to read them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

_FIELD = re.compile(
    r"^\s*field:\s*(?P<declaration>[^;]{1,256});"
    r"\s*offset:(?P<offset>\d{1,6});\s*size:(?P<size>\d{1,6});(?:\s*signed:(?P<signed>[01]);)?",
    re.MULTILINE,
)
_ID = re.compile(r"^ID:\s*(\d{1,5})\s*$", re.MULTILINE)
_NAME = re.compile(r"(\w+)(?:\[[^\]]*\])?$")
_MOST_TEXTS = 1024
_CODES = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q"}
_CODES |= {(size, True): code.lower() for (size, _), code in _CODES.items()}


class FieldFormat(NamedTuple):
    """A field of a record: bytes from its start; a dynamic field holds where its bytes are (u16 offset, u16 size)."""

    offset: int
    size: int
    signed: bool = False
    dynamic: bool = False


class EventFormat(NamedTuple):
    """An event as its `format` file describes it; `id` is what the first two bytes of its records hold."""

    id: int
    fields: dict[str, FieldFormat]


def parse_fields(text: str) -> dict[str, FieldFormat]:
    """The fields of a `format` or `header_page` file, by name."""
    fields: dict[str, FieldFormat] = {}
    for match in _FIELD.finditer(text):
        declaration = match["declaration"].strip()
        name = _NAME.search(declaration)
        if name is not None:
            fields[name[1]] = FieldFormat(
                int(match["offset"]), int(match["size"]), match["signed"] == "1", declaration.startswith("__data_loc")
            )
    return fields


def parse_format(text: str) -> EventFormat:
    """An event's `format` file; ValueError when it names no id."""
    number = _ID.search(text)
    if number is None:
        raise ValueError("an event's format names no ID")
    return EventFormat(int(number[1]), parse_fields(text))


class Layout:
    """How to read an event's records: the numbers that are `needed`, strings, and the packet's bytes.

    Raises ValueError where the event's format makes no sense or lacks something needed.
    """

    def __init__(self, form: EventFormat, needed: Sequence[str]) -> None:
        codes, names, end = "<", [], 0
        for name, field in sorted(form.fields.items(), key=lambda item: item[1].offset):
            code = _CODES.get((field.size, field.signed))
            if code is None or field.dynamic or name not in needed:
                continue
            if field.offset < end:
                raise ValueError(f"fields of an event overlap at {name}")
            codes += f"{field.offset - end}x{code}"
            names.append(name)
            end = field.offset + field.size
        if missing := sorted(set(needed) - set(names)):
            raise ValueError(f"an event lacks {', '.join(missing)}")
        # The numbers of a record, in the order in which they were asked for; struct.error where it is too short.
        self.numbers: Callable[[bytes], tuple[int, ...]] = struct.Struct(codes).unpack_from
        if names != list(needed):
            unpack, pick = self.numbers, itemgetter(*(names.index(name) for name in needed))
            self.numbers = lambda record: pick(unpack(record))
        self._spans = _spans([field for name, field in form.fields.items() if _is_data(name)])
        self._texts = {name: field for name, field in form.fields.items() if name not in names and not _is_data(name)}
        self._known: dict[bytes, str] = {}  # decoding a name takes longer than finding it

    def text(self, record: bytes, name: str) -> str:
        """A string of a record; "" where there is none of that name."""
        field = self._texts.get(name)
        if field is None:
            return ""
        start, size, _, dynamic = field
        if dynamic:
            location = int.from_bytes(record[start : start + 4], "little")
            start, size = location & 0xFFFF, location >> 16
        raw = record[start : start + size]
        known = self._known.get(raw)
        if known is None:
            if len(self._known) == _MOST_TEXTS:
                self._known.clear()
            known = self._known[raw] = raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        return known

    def data(self, record: bytes) -> bytes:
        """The packet's bytes in a record."""
        spans = self._spans
        return record[spans[0]] if len(spans) == 1 else b"".join([record[span] for span in spans])


def _is_data(name: str) -> bool:
    return name[:1] == "d" and name[1:].isdigit()


def _spans(fields: list[FieldFormat]) -> tuple[slice, ...]:
    """The byte ranges of the data arrays in the order of a packet, adjacent ones joined."""
    spans: list[slice] = []
    for field in fields:
        if spans and spans[-1].stop == field.offset:
            spans[-1] = slice(spans[-1].start, field.offset + field.size)
        else:
            spans.append(slice(field.offset, field.offset + field.size))
    return tuple(spans)
