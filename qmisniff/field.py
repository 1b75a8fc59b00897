# SPDX-License-Identifier: GPL-2.0-or-later
"""A decoded packet as a tree: what a field is (FieldSpec), where it was found (Field), what is wrong (Problem)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

Value = int | float | str | bytes | bool | None


class Kind(Enum):
    """How a field's value is compared and shown; the names are those of Wireshark's field types without `FT_`."""

    NONE = "none"  # a heading: only its children have values
    UINT = "uint"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    BYTES = "bytes"
    IPV4 = "ipv4"  # value: dotted text
    IPV6 = "ipv6"  # value: text
    ETHER = "ether"  # value: colon text


class Severity(IntEnum):
    """Wireshark's expert severities; the numbers order them."""

    CHAT = 1
    NOTE = 2
    WARN = 3
    ERROR = 4


@dataclass(slots=True, frozen=True, eq=False)
class FieldSpec:
    """What a field is, made once per definition and shared by every tree that contains it.

    `name` is the dotted filter name ("" where the field cannot be filtered for); `label` what a tree shows.
    A `Field`'s value is in display units already (0.1 dB steps: raw 123 is the value 12.3); `scale` says what the raw
    number was multiplied with. `labels` names enum values; with `flags` set it names bits (mask -> label) instead.
    `since` names the epoch that a number of seconds or milliseconds (its unit) counts from: unix or gps.
    """

    name: str
    label: str
    kind: Kind
    size: int = 0  # bytes on the wire, 0 where it varies
    hex: bool = False  # shown as hexadecimal
    labels: Mapping[int, str] | None = None
    flags: bool = False
    unit: str = ""
    scale: float = 1
    since: str = ""
    personal: bool = False


@dataclass(slots=True)
class Problem:
    """Expert information: something wrong or remarkable about a range of a frame's bytes."""

    severity: Severity
    text: str
    offset: int
    size: int


@dataclass(slots=True)
class Field:
    """One node of a decoded tree. `offset` and `size` are bytes, absolute in `Frame.data`."""

    spec: FieldSpec
    value: Value
    offset: int
    size: int
    children: list[Field] = field(default_factory=list)
    problem: Problem | None = None

    def walk(self) -> Iterator[Field]:
        """This field and everything below it, in display order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))
