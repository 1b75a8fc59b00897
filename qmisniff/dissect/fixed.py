# SPDX-License-Identifier: GPL-2.0-or-later
"""Types whose values always take the same number of bytes, and how struct unpacks them."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TypeGuard

from qmisniff.definitions.model import ADDRESS_SIZE, Address, Bytes, Length, Number, Text, Type
from qmisniff.definitions.model import Struct as StructType

_CODES = {
    ("u", 1): "B",
    ("u", 2): "H",
    ("u", 4): "I",
    ("u", 8): "Q",
    ("i", 1): "b",
    ("i", 2): "h",
    ("i", 4): "i",
    ("i", 8): "q",
    ("f", 4): "f",
    ("f", 8): "d",
}


def struct_code(kind: Type) -> str:
    """The struct code of a fixed-size type, little-endian; `Ns` where struct has none."""
    if isinstance(kind, Number) and (kind.size == 1 or not kind.big_endian) and (kind.form, kind.size) in _CODES:
        return _CODES[kind.form, kind.size]
    return f"{size_of(kind)}s"


def size_of(kind: Type) -> int:
    match kind:
        case Number():
            return kind.size
        case Address():
            return ADDRESS_SIZE[kind.form]
        case Text(length=length) | Bytes(length=length):
            return length.size * 2 if isinstance(kind, Text) and kind.encoding == "utf16" else length.size
        case _:
            raise TypeError("not of fixed size")


def is_bytes(kind: Type) -> TypeGuard[Number]:
    """A number that struct can only unpack as bytes."""
    return isinstance(kind, Number) and struct_code(kind).endswith("s")


def number_from(kind: Number) -> Callable[[bytes], int | float]:
    """What turns the bytes of a number that struct cannot unpack little-endian into it."""
    if kind.form == "f":
        layout = Struct(">" + _CODES["f", kind.size])
        return lambda raw: float(layout.unpack(raw)[0])
    signed = kind.form == "i"
    if kind.big_endian:
        return lambda raw: int.from_bytes(raw, "big", signed=signed)
    return lambda raw: int.from_bytes(raw, "little", signed=signed)


def fixed_leaves(kind: Type, path: str) -> list[tuple[str, Type]] | None:
    """Filter names and types of the values that a type of fixed size is made of; None where its size varies."""
    match kind:
        case Number() | Address() | Text(length=Length("fixed"), by="") | Bytes(length=Length("fixed")):
            return [(path, kind)]
        case StructType():
            found: list[tuple[str, Type]] = []
            for name, each in kind.fields:
                leaves = fixed_leaves(each, f"{path}.{name}")
                if leaves is None:
                    return None
                found += leaves
            return found
        case _:
            return None
