# SPDX-License-Identifier: GPL-2.0-or-later
"""What people write -> the values that fields are compared with.

A value is a number (of times: nanoseconds), or bytes: strings as UTF-8, addresses in network order. These functions
raise ValueError with what is wrong.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from qmisniff.field import FieldSpec
from qmisniff.filter.catalogue import Type

_INTEGER = re.compile(r"(-?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE]-?[0-9]{1,4})?")
_SEPARATED = re.compile(r"[0-9a-fA-F]{1,2}(?:([:.-])[0-9a-fA-F]{1,2}(?:\1[0-9a-fA-F]{1,2})*)")
_DIGITS = re.compile(r"(?:[0-9a-fA-F]{2})+")
_ONE_BYTE = re.compile(r"0[xX]([0-9a-fA-F]{1,2})|([0-9])")
_TRUTH = {"true": 1, "True": 1, "TRUE": 1, "false": 0, "False": 0, "FALSE": 0}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_MOST_DIGITS = 40


class Network(NamedTuple):
    """All addresses that begin with the same bits."""

    address: bytes
    bits: int

    def holds(self, address: bytes) -> bool:
        """Does this address begin with the network's bits?"""
        rest = len(self.address) * 8 - self.bits
        if len(address) != len(self.address):
            return False
        return int.from_bytes(self.address) >> rest == int.from_bytes(address) >> rest


Value = int | float | bytes


def integer(text: str) -> int:
    """Decimal, hexadecimal (0x), binary (0b) or octal (0)."""
    match = _INTEGER.fullmatch(text)
    if match is None or len(text) > _MOST_DIGITS:
        raise ValueError(f"{text} is no whole number")
    digits = match[2]
    base = {"x": 16, "b": 2}.get(digits[1:2].lower(), 8 if digits[0] == "0" else 10)
    return int(digits[2:] if base in (2, 16) else digits, base) * (-1 if match[1] else 1)


def word(text: str, kind: Type, spec: FieldSpec | None) -> Value | Network:
    """The value of an unquoted word beside a field of this type; labels are those of `spec`."""
    match kind:
        case Type.UINT | Type.INT:
            try:
                return _in_range(integer(text), kind, spec)
            except ValueError:
                if spec is None or spec.labels is None or _INTEGER.fullmatch(text):
                    raise
                return label(text, spec)
        case Type.FLOAT:
            return fraction(text)
        case Type.BOOL:
            return _TRUTH[text] if text in _TRUTH else int(integer(text) != 0)
        case Type.BYTES | Type.PROTOCOL:
            return octets(text)
        case Type.STRING:
            raise ValueError(f'a string stands in quotes: "{text}"')
        case Type.ETHER:
            found = octets(text)
            if len(found) != 6:
                raise ValueError(f"{text} has {len(found)} bytes, a MAC address 6")
            return found
        case Type.IPV4:
            return _address(text, socket.AF_INET, kind)
        case Type.IPV6:
            return _address(text, socket.AF_INET6, kind)
        case Type.TIME:
            return moment(text)
        case Type.SECONDS:
            if not _FLOAT.fullmatch(text) or len(text) > _MOST_DIGITS or "e" in text.lower():
                raise ValueError(f"{text} is no number of seconds")
            return int(Decimal(text) * 1_000_000_000)
        case Type.HEADING:
            raise ValueError("a heading has no value")


def quoted(value: bytes, kind: Type, spec: FieldSpec | None) -> Value:
    """The value of a "string" beside a field of this type."""
    text = value.decode("utf-8", "backslashreplace")
    match kind:
        case Type.STRING | Type.BYTES | Type.PROTOCOL:
            return value
        case Type.UINT | Type.INT if spec is not None and spec.labels is not None:
            return label(text, spec)
        case Type.BOOL if text in _TRUTH:
            return _TRUTH[text]
        case Type.TIME:
            return moment(text)
    raise ValueError(f"{kind.value} is not written in quotes")


def fraction(text: str) -> float:
    """Decimal digits with or without a point, or a whole number as `integer` reads it."""
    if _FLOAT.fullmatch(text) and not re.fullmatch(r"-?0[0-9]+", text):
        return float(text)
    try:
        return float(integer(text))
    except ValueError:
        raise ValueError(f"{text} is no number") from None


def octets(text: str) -> bytes:
    """Hexadecimal bytes: aa:bb, aa-bb, a.b, aabb, 0xff; a digit alone."""
    if match := _ONE_BYTE.fullmatch(text):
        return bytes([int(match[1] or match[2], 16)])
    if _SEPARATED.fullmatch(text):
        return bytes(int(part, 16) for part in re.split("[:.-]", text) if part)
    if _DIGITS.fullmatch(text):
        return bytes.fromhex(text)
    raise ValueError(f"{text} is no sequence of bytes: 01:02:ff")


def label(text: str, spec: FieldSpec) -> int:
    """The number that a label of an enum stands for, whatever its case."""
    if spec.flags:
        raise ValueError(f"{spec.name} is made of flags: test their bits with &")
    assert spec.labels is not None
    found = sorted(value for value, name in spec.labels.items() if name.lower() == text.lower())
    if not found:
        raise ValueError(f"{text} is no value of {spec.name}")
    if len(found) > 1:
        raise ValueError(f"{text} stands for several values: in {{{', '.join(map(str, found))}}}")
    return found[0]


def moment(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; local time where it names no zone. A day is its midnight."""
    match = _TIME.fullmatch(f"{text} 00:00" if _DAY.fullmatch(text) else text)
    if match is None:
        raise ValueError(f"{text} is no time: 2026-01-31 12:00:00Z")
    day, clock, below, zone = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}")
        if zone is not None:
            at = datetime.fromisoformat(f"{day}T{clock}{zone}")
        seconds = int(at.timestamp() // 1) if at.tzinfo is None else (at - datetime(1970, 1, 1, tzinfo=UTC)) // _SECOND
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text} is no time: 2026-01-31 12:00:00Z") from None
    return seconds * 1_000_000_000 + int((below or "0").ljust(9, "0"))


_SECOND = datetime(1970, 1, 1, 0, 0, 1) - datetime(1970, 1, 1)


def _in_range(value: int, kind: Type, spec: FieldSpec | None) -> int:
    bits = spec.size * 8 if spec is not None and spec.size and spec.scale == 1 else 64
    low, high = (0, 2**bits - 1) if kind is Type.UINT else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= value <= high:
        raise ValueError(f"{value} does not fit: the field goes from {low} to {high}")
    return value


def _address(text: str, family: int, kind: Type) -> bytes | Network:
    written, _, prefix = text.partition("/")
    try:
        address = socket.inet_pton(family, written)
    except (OSError, UnicodeError, ValueError):
        raise ValueError(f"{text} is no {kind.value.partition(' ')[2]}") from None
    if not prefix:
        return address
    if len(prefix) > 3 or int(prefix) > len(address) * 8:
        raise ValueError(f"/{prefix} is longer than the address")
    return Network(address, int(prefix))


_PACKED: dict[Type, Callable[[str], bytes]] = {
    Type.STRING: lambda text: text.encode("utf-8", "surrogatepass"),
    Type.BYTES: lambda text: text.encode("utf-8", "surrogatepass"),
    Type.ETHER: lambda text: bytes.fromhex(text.replace(":", "")),
    Type.IPV4: lambda text: socket.inet_pton(socket.AF_INET, text),
    Type.IPV6: lambda text: socket.inet_pton(socket.AF_INET6, text),
}


def canonical(value: Any, kind: Type) -> Value | None:
    """A decoded value as it is compared; None where it is not of the field's type (one name, several layouts)."""
    if isinstance(value, str):
        try:
            return _PACKED[kind](value) if kind in _PACKED else None
        except (OSError, ValueError):
            return None
    if isinstance(value, bytes):
        return value if kind in (Type.BYTES, Type.STRING) else None
    return value if kind not in _PACKED and isinstance(value, int | float) else None


def written(value: Value, kind: Type) -> bytes:
    """What string() makes of a number or an address."""
    if isinstance(value, bytes):
        match kind:
            case Type.ETHER:
                return value.hex(":").encode()
            case Type.IPV4:
                return socket.inet_ntop(socket.AF_INET, value).encode()
            case Type.IPV6:
                return socket.inet_ntop(socket.AF_INET6, value).encode()
    return str(value).encode()
