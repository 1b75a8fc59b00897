# SPDX-License-Identifier: GPL-2.0-or-later
"""The plainest decoder there could be: it walks a type byte by byte, and is what the compiled one is held against."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from qmisniff.definitions.model import Address, Array, Bytes, Length, Number, Struct, Text, Type, Union

Enums = Mapping[str, Mapping[int, str]]


class TooShort(Exception):
    """The bytes end, or a selector has no case, at this offset."""

    def __init__(self, at: int) -> None:
        self.at = at


@dataclass
class Interpreter:
    """`found`: filter name, value, offset and size of every value in the order of the bytes."""

    data: bytes
    enums: Enums
    found: list[tuple[str, Any, int, int]] = field(default_factory=list)

    def read(self, kind: Type, path: str, at: int, end: int, scope: dict[str, int] | None = None) -> int:
        """Where the value of type `kind` at `at` ends."""
        match kind:
            case Number():
                return self._number(kind, path, at, end)
            case Text() | Bytes():
                return self._stretch(kind, path, at, end, scope or {})
            case Address():
                size = {"ipv4": 4, "ipv6": 16, "mac": 6, "plmn": 3}[kind.form]
                return self._put(path, _address(kind, self._take(at, size, end)), at, size)
            case Struct():
                inner: dict[str, int] = {}
                for name, each in kind.fields:
                    before = at
                    at = self.read(each, f"{path}.{name}", at, end, inner)
                    if isinstance(each, Number) and each.form != "f":
                        inner[name] = _integer(each, self.data[before:at])
                return at
            case Array():
                return self._array(kind, path, at, end, scope or {})
            case Union():
                for value, name, each in kind.cases:
                    if value == (scope or {})[kind.on]:
                        return self.read(each, f"{path}.{name}", at, end)
                raise TooShort(at)
        raise TypeError(kind)

    def _put(self, path: str, value: Any, at: int, size: int) -> int:
        self.found.append((path, value, at, size))
        return at + size

    def _take(self, at: int, size: int, end: int) -> bytes:
        if size < 0 or at + size > end:
            raise TooShort(at)
        return self.data[at : at + size]

    def _number(self, kind: Number, path: str, at: int, end: int) -> int:
        raw = self._take(at, kind.size, end)
        if kind.form == "f":
            value = struct.unpack((">" if kind.big_endian else "<") + {4: "f", 8: "d"}[kind.size], raw)[0]
            return self._put(path, value * kind.num / kind.den, at, kind.size)
        number = _integer(kind, raw)
        exact = Fraction(number) * Fraction(kind.num, kind.den)
        shown: Any = number != 0 if kind.truth else int(exact) if kind.den == 1 else float(exact)
        self._put(path, shown, at, kind.size)
        for bits in kind.bits:
            part = number >> bits.low & ((1 << bits.width) - 1)
            self._put(f"{path}.{bits.name}", part != 0 if bits.width == 1 and not bits.enum else part, at, kind.size)
        return at + kind.size

    def _count(self, length: Length, at: int, end: int, scope: dict[str, int]) -> tuple[int, int | None]:
        """Where the counted things begin, and how many there are; None for all that is left."""
        match length.form:
            case "fixed":
                return at, length.size
            case "prefix":
                return at + length.size, int.from_bytes(self._take(at, length.size, end), "little")
            case "field":
                if scope[length.field] < 0:
                    raise TooShort(at)
                return at, scope[length.field]
        return at, None

    def _stretch(self, kind: Text | Bytes, path: str, at: int, end: int, scope: dict[str, int]) -> int:
        start, count = self._count(kind.length, at, end, scope)
        size = end - start if count is None else count
        if isinstance(kind, Text) and kind.encoding == "utf16" and not kind.length.counts_bytes and count is not None:
            size *= 2
        if start + size > end:
            raise TooShort(at)
        raw = self.data[start : start + size]
        value: Any = raw if isinstance(kind, Bytes) else _text(kind.encoding, raw)
        return self._put(path, value, at, start + size - at)

    def _array(self, kind: Array, path: str, at: int, end: int, scope: dict[str, int]) -> int:
        at, count = self._count(kind.count, at, end, scope)
        if count is None or kind.count.counts_bytes:
            stop = end if count is None else at + count
            if stop > end:
                raise TooShort(at)
            while at < stop:
                at = self.read(kind.element, path, at, stop)
            return at
        for _ in range(count):
            at = self.read(kind.element, path, at, end)
        return at


def _integer(kind: Number, raw: bytes) -> int:
    return int.from_bytes(raw, "big" if kind.big_endian else "little", signed=kind.form == "i")


def _text(encoding: str, raw: bytes) -> str:
    match encoding:
        case "string":
            return raw.split(b"\0")[0].rstrip(b"\xff").decode("utf-8", "backslashreplace")
        case "utf16":
            return raw.decode("utf-16-le", "replace").rstrip("\0")
        case "bcd":
            return "".join("0123456789*#abc"[half] for byte in raw for half in (byte & 15, byte >> 4) if half != 15)
    raise TypeError(encoding)


def _address(kind: Address, raw: bytes) -> str:
    match kind.form:
        case "ipv4":
            return str(ipaddress.IPv4Address(raw if kind.big_endian else raw[::-1]))
        case "ipv6":
            return str(ipaddress.IPv6Address(raw))
        case "mac":
            return ":".join(f"{byte:02x}" for byte in raw)
    halves = [raw[0] & 15, raw[0] >> 4, raw[1] & 15, raw[2] & 15, raw[2] >> 4, raw[1] >> 4]
    return "".join(f"{half:x}" for half in halves if half != 15)
