# SPDX-License-Identifier: GPL-2.0-or-later
"""A header as one table, read three ways: by struct (one packet), as a numpy dtype (a column of them), as fields."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from qmisniff.field import FieldSpec, Kind, Value

if TYPE_CHECKING:
    import numpy as np

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}

Row = tuple[FieldSpec, Value, int, int]  # a decoded field: what it is, value, offset and size in bytes


class Item(NamedTuple):
    """One whole number of a header: its name below the header's, its bytes, and how it is shown."""

    name: str
    size: int
    label: str
    hex: bool = False
    labels: Mapping[int, str] | None = None
    kind: Kind = Kind.UINT  # or INT: two's complement


def _code(item: Item) -> str:
    code = _CODES[item.size]
    return code.lower() if item.kind is Kind.INT else code


class Layout:
    """Whole numbers, little-endian, one after the other without padding."""

    def __init__(self, prefix: str, items: Iterable[Item]) -> None:
        self.items = tuple(items)
        self.struct = struct.Struct("<" + "".join(_code(item) for item in self.items))
        self.size = self.struct.size
        self.specs = tuple(
            FieldSpec(f"{prefix}.{item.name}", item.label, item.kind, item.size, hex=item.hex, labels=item.labels)
            for item in self.items
        )
        starts = [sum(item.size for item in self.items[:index]) for index in range(len(self.items))]
        self._places = tuple(zip(self.specs, starts, strict=True))

    def rows(self, data: bytes, offset: int, end: int) -> list[Row]:
        """The fields of the header at `offset`; where the bytes end before it does, those that are there whole."""
        if end - offset >= self.size:
            values = self.struct.unpack_from(data, offset)
            return [
                (spec, value, offset + start, spec.size)
                for (spec, start), value in zip(self._places, values, strict=True)
            ]
        rows: list[Row] = []
        for spec, start in self._places:
            at, stop = offset + start, offset + start + spec.size
            if stop <= end:
                value = int.from_bytes(data[at:stop], "little", signed=spec.kind is Kind.INT)
                rows.append((spec, value, at, spec.size))
        return rows

    def dtype(self) -> np.dtype[Any]:
        """The same header as a packed numpy record."""
        import numpy as np

        return np.dtype([(item.name, f"<{item.kind.value[0]}{item.size}") for item in self.items])
