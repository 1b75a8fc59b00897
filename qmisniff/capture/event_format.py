# SPDX-License-Identifier: GPL-2.0-or-later
"""The `format` files of tracefs: where the fields of an event's record are."""

from __future__ import annotations

import re
from typing import NamedTuple

_FIELD = re.compile(
    r"^\s*field:\s*(?P<declaration>[^;]{1,256});"
    r"\s*offset:(?P<offset>\d{1,6});\s*size:(?P<size>\d{1,6});(?:\s*signed:(?P<signed>[01]);)?",
    re.MULTILINE,
)
_ID = re.compile(r"^ID:\s*(\d{1,5})\s*$", re.MULTILINE)
_NAME = re.compile(r"(\w+)(?:\[[^\]]*\])?$")


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
