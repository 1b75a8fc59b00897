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


class Item(NamedTuple):
    """One whole number of a header: its name below the header's, and how it is shown."""

    name: str
    size: int
    label: str
    hex: bool = False
    labels: Mapping[int, str] | None = None


class Row(NamedTuple):
    """A decoded header field; `offset` and `size` in bytes of the packet."""

    spec: FieldSpec
    value: Value
    offset: int
    size: int


class Layout:
    """Whole numbers one after the other without padding."""

    def __init__(self, prefix: str, items: Iterable[Item], byte_order: str = "<") -> None:
        self.items = tuple(items)
        self.struct = struct.Struct(byte_order + "".join(_CODES[item.size] for item in self.items))
        self.size = self.struct.size
        self.specs = tuple(
            FieldSpec(f"{prefix}.{item.name}", item.label, Kind.UINT, item.size, hex=item.hex, labels=item.labels)
            for item in self.items
        )
        self._byte_order = byte_order

    def rows(self, data: bytes, offset: int) -> list[Row]:
        """The fields of the header at `offset`; where `data` ends early, those that are there whole."""
        rows: list[Row] = []
        if len(data) - offset >= self.size:
            for spec, value in zip(self.specs, self.struct.unpack_from(data, offset), strict=True):
                rows.append(Row(spec, value, offset, spec.size))
                offset += spec.size
            return rows
        for spec in self.specs:
            raw = data[offset : offset + spec.size]
            if len(raw) < spec.size:
                break
            value = int.from_bytes(raw, "little" if self._byte_order == "<" else "big")
            rows.append(Row(spec, value, offset, spec.size))
            offset += spec.size
        return rows

    def dtype(self) -> np.dtype[Any]:
        """The same header as a packed numpy record."""
        import numpy as np

        return np.dtype([(item.name, f"{self._byte_order}u{item.size}") for item in self.items])
