# SPDX-License-Identifier: GPL-2.0-or-later
"""What a definition says, once it has been read and found right: services, messages, TLVs and the types of values.

Everything is an immutable tuple, so that a service can be written to a cache as plain lists and read back
(`to_plain`, `from_plain`) without any code being run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

KINDS = ("request", "response", "indication")  # the index is the value of qmi.type
RESULT_TLV = 0x02  # in every response; never written in a definition


class Length(NamedTuple):
    """How many bytes or elements follow: `fixed` size, a `prefix` of `size` bytes, the `rest`, or another `field`."""

    form: str
    size: int = 0
    field: str = ""
    counts_bytes: bool = False  # of an array or utf16: the prefix counts bytes, not elements


class BitField(NamedTuple):
    """Bits `low` to `low + width - 1` of a number."""

    name: str
    low: int
    width: int
    enum: str = ""


class Number(NamedTuple):
    """An integer (`u`, `i`) or float (`f`) of `size` bytes; what is shown is the number times `num / den`."""

    form: str
    size: int
    big_endian: bool = False
    truth: bool = False
    enum: str = ""
    flags: str = ""
    hex: bool = False
    num: int = 1
    den: int = 1
    unit: str = ""
    since: str = ""  # the epoch the number counts from: unix or gps
    personal: bool = False
    bits: tuple[BitField, ...] = ()


class Text(NamedTuple):
    """Characters; `encoding` is string (UTF-8), utf16, gsm7 or bcd, or text: then the label of the value of the
    earlier field `by` says which it is."""

    encoding: str
    length: Length
    personal: bool = False
    by: str = ""


class Bytes(NamedTuple):
    """Bytes nobody looks into, or the value of a whole TLV that is a protocol buffer without a schema."""

    length: Length
    personal: bool = False
    protobuf: bool = False


class Address(NamedTuple):
    """A fixed number of bytes with a text form of its own: ipv4, ipv6, mac, plmn."""

    form: str
    big_endian: bool = False
    personal: bool = False


class Struct(NamedTuple):
    """Fields one after the other, no padding."""

    fields: tuple[tuple[str, Type], ...]


class Array(NamedTuple):
    """Elements of one type."""

    count: Length  # type: ignore[assignment]  # hides tuple.count, which nothing here needs
    element: Type


class Union(NamedTuple):
    """The value of the earlier field `on` says which of `cases` (value, name, type) follows; none may fit."""

    on: str
    cases: tuple[tuple[int, str, Type], ...]


class Choice(NamedTuple):
    """Layouts of one TLV seen in the field, the usual one first: the first that uses up all bytes is right."""

    layouts: tuple[Type, ...]


Type = Number | Text | Bytes | Address | Struct | Array | Union | Choice

ADDRESS_SIZE = {"ipv4": 4, "ipv6": 16, "mac": 6, "plmn": 3}


class Tlv(NamedTuple):
    """One element of a message."""

    id: int
    name: str
    mandatory: bool
    type: Type


class Example(NamedTuple):
    """A whole QMI message and values that must come out of it, by name below the message's."""

    data: str
    values: tuple[tuple[str, Any], ...]


class Message(NamedTuple):
    """One message id of a service; `tlvs` by kind (None: the service has no such message)."""

    name: str
    id: int
    title: str
    tlvs: tuple[tuple[Tlv, ...] | None, tuple[Tlv, ...] | None, tuple[Tlv, ...] | None]
    examples: tuple[Example, ...] = ()
    indication_title: str = ""  # where the indication is called something else


class Header(NamedTuple):
    """What is known of a service without reading its messages."""

    name: str  # in filters; the stem of its file
    id: int
    service: str  # short name as written: NAS
    title: str


_CLASSES: Mapping[str, Any] = {
    f"@{cls.__name__}": cls
    for cls in (Length, BitField, Number, Text, Bytes, Address, Struct, Array, Union, Choice, Tlv, Example, Message)
}


def to_plain(value: Any) -> Any:
    """Nested lists of str, int, bool and None that `from_plain` turns back into the same value."""
    if isinstance(value, tuple):
        tag = [f"@{type(value).__name__}"] if hasattr(value, "_fields") else []
        return tag + [to_plain(item) for item in value]
    return value


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given. Raises TypeError where the lists are not such a value."""
    if isinstance(value, list):
        if value and isinstance(value[0], str) and (cls := _CLASSES.get(value[0])) is not None:
            return cls(*[from_plain(item) if isinstance(item, list) else item for item in value[1:]])
        return tuple([from_plain(item) for item in value])
    return value


def smallest(kind: Type) -> int:
    """The least number of bytes a value of this type can have."""
    match kind:
        case Number():
            return kind.size
        case Address():
            return ADDRESS_SIZE[kind.form]
        case Text(length=length) | Bytes(length=length):
            return length.size if length.form in ("fixed", "prefix") else 0
        case Struct():
            return sum(smallest(each) for _, each in kind.fields)
        case Array():
            if kind.count.form == "fixed":
                return kind.count.size * smallest(kind.element)
            return kind.count.size if kind.count.form == "prefix" else 0
        case Union():
            return 0
        case Choice():
            return min(smallest(each) for each in kind.layouts)


def parts(kind: Type) -> Iterator[Type]:
    """A type and every type inside it."""
    yield kind
    inner: Iterable[Type] = ()
    match kind:
        case Array():
            inner = (kind.element,)
        case Struct():
            inner = (each for _, each in kind.fields)
        case Union():
            inner = (each for _, _, each in kind.cases)
        case Choice():
            inner = kind.layouts
    for each in inner:
        yield from parts(each)
