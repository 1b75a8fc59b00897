# SPDX-License-Identifier: GPL-2.0-or-later
"""How many bytes a value needs, by its type and the one length inside it: known without decoding it."""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.definitions.model import Array, Bytes, Struct, Text, Type
from qmisniff.filter.places import fixed_size


class Extent(NamedTuple):
    """`least` bytes, and `unit` more for each that a number of `size` bytes at offset `at` counts."""

    least: int
    at: int = 0
    size: int = 0
    unit: int = 0


def extent(kind: Type) -> Extent | None:
    """The bytes that a value needs; None for types with several lengths inside, or none at a fixed place."""
    fixed = fixed_size(kind)
    if fixed is not None:
        return Extent(fixed)
    match kind:
        case Struct():
            if any(_takes_all(each) for _, each in kind.fields[:-1]):
                return None
            found = Extent(0)
            for _, each in kind.fields:
                part = extent(each)
                if part is None or (part.unit and found.unit):
                    return None
                place = (found.least + part.at, part.size, part.unit) if part.unit else found[1:]
                found = Extent(found.least + part.least, *place)
            return found
        case Text(length=length) | Bytes(length=length):
            unit = 2 if isinstance(kind, Text) and kind.encoding == "utf16" and not length.counts_bytes else 1
        case Array(length, element):
            size = fixed_size(element)
            # The last element of so many bytes may be cut short.
            if size is None or (size != 1 and (length.counts_bytes or length.form == "rest")):
                return None
            unit = size
        case _:
            return None
    if length.form == "rest":
        return Extent(0)
    return Extent(length.size, 0, length.size, unit) if length.form == "prefix" else None


def _takes_all(kind: Type) -> bool:
    match kind:
        case Struct(fields):
            return any(_takes_all(each) for _, each in fields)
        case Text(length=length) | Bytes(length=length) | Array(length):
            return length.form == "rest"
    return False
