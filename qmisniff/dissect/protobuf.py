# SPDX-License-Identifier: GPL-2.0-or-later
"""Protocol buffers without their schema: number, wire type and value of each field, as sensors (SSC) send them.

Encoding: protobuf.dev/programming-guides/encoding. The names are those of Wireshark's dissector. What a value means,
only the schema knows: fixed sizes are shown as whole number and as floating point, and length-delimited bytes as text
where they are printable, else as a message inside where they are one to their last byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

from qmisniff.dissect.text import value_as_text
from qmisniff.field import Field, FieldSpec, Kind, Value

MAX_DEPTH = 16  # of messages inside messages; deeper ones stay bytes
_COST = 4  # of a field, in fields of a message: it makes about as many
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {VARINT: "varint", FIXED64: "fixed64", LENGTH: "length-delimited", FIXED32: "fixed32"}
_MAX_NUMBER = (1 << 29) - 1

_NUMBER = FieldSpec("protobuf.field.number", "Field number", Kind.UINT)
_WIRE_TYPE = FieldSpec("protobuf.field.wiretype", "Wire type", Kind.UINT, 1, labels=_WIRE_TYPES)
_SIZE = FieldSpec("protobuf.field.value.length", "Value length", Kind.UINT)
_BYTES = FieldSpec("protobuf.field.value", "Value", Kind.BYTES)
_UINT64 = FieldSpec("protobuf.field.value.uint64", "Uint64", Kind.UINT)
_UINT32 = FieldSpec("protobuf.field.value.uint32", "Uint32", Kind.UINT, 4)
_DOUBLE = FieldSpec("protobuf.field.value.double", "Double", Kind.FLOAT, 8)
_FLOAT = FieldSpec("protobuf.field.value.float", "Float", Kind.FLOAT, 4)
_STRING = FieldSpec("protobuf.field.value.string", "String", Kind.STRING)
SPECS = (_NUMBER, _WIRE_TYPE, _SIZE, _BYTES, _UINT64, _UINT32, _DOUBLE, _FLOAT, _STRING)
_HEADING = FieldSpec("", "Field", Kind.NONE)


class _Part(NamedTuple):
    """One field of a message: where its tag, its value (behind a length) and what follows begin; `value` is what a
    varint or a length is."""

    number: int
    wire: int
    tag: int
    start: int
    end: int
    value: int
    length: int  # where the length stands


def _varint(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """A base-128 number and where it ends; None where it does not end, or has more than 64 bits."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            return None
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return (value, at) if value < 1 << 64 else None
    return None


def _part(data: bytes, at: int, end: int) -> _Part | None:
    """The field at `at`; None where there is none."""
    tag = _varint(data, at, end)
    if tag is None or not 1 <= tag[0] >> 3 <= _MAX_NUMBER:
        return None
    number, wire = tag[0] >> 3, tag[0] & 7
    value, length, start, stop = 0, tag[1], tag[1], tag[1]
    if wire in (VARINT, LENGTH):
        found = _varint(data, start, end)
        if found is None:
            return None
        value, stop = found
        if wire == LENGTH:
            start, stop = stop, stop + value
    elif wire in (FIXED64, FIXED32):
        stop = start + (8 if wire == FIXED64 else 4)
    else:
        return None  # groups have been out of use since before there were sensors
    return _Part(number, wire, at, start, stop, value, length) if stop <= end else None


def _parts(data: bytes, at: int, end: int) -> Iterator[_Part]:
    """The fields of `data[at:end]` up to the first that is none."""
    while at < end and (part := _part(data, at, end)) is not None:
        yield part
        at = part.end


def _is_message(data: bytes, at: int, end: int, budget: list[int]) -> bool:
    """Whether the bytes are a message to the last of them. To look at a field costs too, or else bytes that are made to
    look like messages inside messages would be looked at again at every depth."""
    start = at
    for part in _parts(data, at, end):
        at = part.end
        budget[0] -= 1
        if budget[0] < 0:
            return False
    return start < at == end


def _fields(data: bytes, part: _Part, budget: list[int]) -> tuple[str, list[Field], bool]:
    """What a field is called in a line, its parts, and whether its value is a message."""
    number, wire, tag, start, end, value, length = part
    size = end - start
    fields = [Field(_NUMBER, number, tag, length - tag), Field(_WIRE_TYPE, wire, tag, 1)]
    values: list[tuple[FieldSpec, Value]] = []
    inside = False
    if wire == VARINT:
        values = [(_UINT64, value)]
    elif wire == FIXED64:
        values = [(_UINT64, unpack_from("<Q", data, start)[0]), (_DOUBLE, unpack_from("<d", data, start)[0])]
    elif wire == FIXED32:
        values = [(_UINT32, unpack_from("<I", data, start)[0]), (_FLOAT, unpack_from("<f", data, start)[0])]
    else:
        fields.append(Field(_SIZE, value, length, start - length))
        content = data[start:end]
        values = [(_BYTES, content)]
        text = _text(content)
        if text:
            values.insert(0, (_STRING, text))
        else:
            inside = _is_message(data, start, end, budget)
    fields += [Field(spec, each, start, size) for spec, each in values]
    shown = "message" if inside else value_as_text(*values[0])
    return f"{number}, {_WIRE_TYPES[wire]}: {shown}", fields, inside


def _text(content: bytes) -> str:
    """The bytes as text where all of it is printable, else nothing."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""


def grow(parent: Field, data: bytes, at: int, end: int, budget: list[int], depth: int = 0) -> int:
    """Put the fields of the message `data[at:end]` below `parent`; where it ends to be one. `budget[0]` counts down."""
    for part in _parts(data, at, end):
        budget[0] -= _COST
        if budget[0] < 0:
            break
        line, fields, inside = _fields(data, part, budget)
        heading = Field(_HEADING, line, part.tag, part.end - part.tag, fields)
        parent.children.append(heading)
        if inside and depth < MAX_DEPTH:
            grow(heading, data, part.start, part.end, budget, depth + 1)
        at = part.end
    return at
