# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiled decode functions against the plain interpreter: any type, any bytes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings

from qmisniff.definitions.model import Array, Length, Number, Struct, Text, Tlv, Type, Union
from qmisniff.dissect.compile import Output
from qmisniff.dissect.source import Stop
from qmisniff.dissect.tlv import UNDECODED, TlvDecoder
from qmisniff.dissect.values import flag_names
from qmisniff.field import Field, Kind
from tests.dissect.interpreter import Interpreter, TooShort
from tests.dissect.types import ENUMS, types, values

BEFORE, AFTER = b"\x5a\xa5", b"\x33\x03"  # of other TLVs: never to be read
BUDGET = 1_000_000
U8 = Number("u", 1)


def expected(kind: Type, data: bytes, end: int) -> tuple[list[tuple[str, Any, int, int]], int, bool]:
    """What must be found, where decoding ends or stops, and whether it stops."""
    plain = Interpreter(data, ENUMS)
    try:
        return plain.found, plain.read(kind, "t", len(BEFORE), end), False
    except TooShort as short:
        return plain.found, short.at, True


def flat(kind: Type, found: list[tuple[str, Any, int, int]]) -> dict[str, Any]:
    """Name -> value or list of values, with labels."""
    made: dict[str, list[Any]] = {}
    tables = dict(_tables(kind, "t"))
    for name, value, _, _ in found:
        made.setdefault(name, []).append(value)
        if table := tables.get(name):
            labels = ENUMS[table]
            made.setdefault(f"{name}.label", []).append(
                flag_names(value, labels) if table == "f" else labels.get(value, "")
            )
    return {name: values[0] if len(values) == 1 else values for name, values in made.items()}


def _tables(kind: Type, path: str) -> list[tuple[str, str]]:
    """Names of values that have labels, and the enum they have them from."""
    match kind:
        case Number():
            own = [(path, kind.enum or kind.flags)] if kind.enum or kind.flags else []
            return own + [(f"{path}.{bits.name}", bits.enum) for bits in kind.bits if bits.enum]
        case Struct():
            return [pair for name, each in kind.fields for pair in _tables(each, f"{path}.{name}")]
        case Union():
            return [pair for _, name, each in kind.cases for pair in _tables(each, f"{path}.{name}")]
        case Array():
            return _tables(kind.element, path)
    return []


def same(left: object, right: object) -> bool:
    """Equal, where NaN equals NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    assert {name: (left[name], right[name]) for name in left if not same(left[name], right[name])} == {}


@settings(max_examples=400, deadline=None)
@given(types, values)
def test_tree(kind: Type, value: bytes) -> None:
    data, end = BEFORE + value + AFTER, len(BEFORE) + len(value)
    children: list[Field] = []
    problem = TlvDecoder(Tlv(16, "t", False, kind), "t", ENUMS).tree(data, len(BEFORE), end, children, [BUDGET])
    wanted, at, stops = expected(kind, data, end)
    walked = [field for child in children for field in child.walk()]
    assert all(len(BEFORE) <= field.offset and field.offset + field.size <= end for field in walked)
    assert all(
        field.offset <= child.offset and child.offset + child.size <= field.offset + field.size
        for field in walked
        for child in field.children
    )
    got = [
        (field.spec.name, field.value, field.offset, field.size)
        for field in walked
        if field.spec.kind is not Kind.NONE and field.spec is not UNDECODED
    ]
    assert [row[::2] for row in got] == [row[::2] for row in wanted]
    assert all(same(one[1], two[1]) and one[3] == two[3] for one, two in zip(got, wanted, strict=True))
    undecoded = [field.value for field in walked if field.spec is UNDECODED]
    assert undecoded == ([data[at:end]] if at < end else [])
    if at < end:
        assert children[-1].problem is not None and problem is None
    else:
        assert (problem is not None) == stops


@settings(max_examples=400, deadline=None)
@given(types, values)
def test_values(kind: Type, value: bytes) -> None:
    data, end = BEFORE + value + AFTER, len(BEFORE) + len(value)
    into: dict[str, Any] = {}
    TlvDecoder(Tlv(16, "t", False, kind), "t", ENUMS).values(data, len(BEFORE), end, into, [BUDGET])
    wanted, at, _ = expected(kind, data, end)
    rest = into.pop(UNDECODED.name, b"")
    assert rest == data[at:end]
    assert_same(into, flat(kind, wanted))


@settings(max_examples=400, deadline=None)
@example(  # a field before an array of unions was lost where the array is empty
    Struct((("p", U8), ("n", Array(Length("prefix", 1), Struct((("t", U8), ("r", Union("t", ((0, "a", U8),))))))))),
    b"\0\0",
)
@example(  # a single number that struct cannot unpack was printed as bytes
    Struct((("x", Array(Length("fixed", 1), Number("u", 3))),)), b"\1\0\0"
)
@given(types, values)
def test_quick_values_and_json_text(kind: Type, value: bytes) -> None:
    """The quick forms give the same, or say that they cannot."""
    data, end = BEFORE + value + AFTER, len(BEFORE) + len(value)
    decoder = TlvDecoder(Tlv(16, "t", False, kind), "t", ENUMS)
    into: dict[str, Any] = {}
    pieces: list[str] = []
    wanted, at, stops = expected(kind, data, end)
    for output, made in ((Output.VALUES, into), (Output.JSON, pieces)):
        try:
            ended = decoder.quick(output)(data, len(BEFORE), end, made, [BUDGET])
        except Stop:
            assert stops
            continue
        assert ended == at and not stops
    if stops:
        return
    assert_same(into, flat(kind, wanted))
    as_json = {name: _jsonable(value) for name, value in into.items()}
    assert_same(json.loads("{" + "".join(pieces)[1:] + "}"), as_json)


def _jsonable(value: Any) -> Any:
    if isinstance(value, list):
        return [_jsonable(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


@pytest.mark.parametrize(
    ("encoding", "raw", "shown"),
    [
        (0, bytes.fromhex("e8329bfd06"), "hello"),
        (1, b"ol\xc3\xa9", "olé"),
        (2, "añ".encode("utf-16-be"), "añ"),
        (3, "añ".encode("utf-16-le"), "añ"),
        (4, b"\x00\x1b\x65", "@€"),
        (5, b"\xe9", "é"),
        (6, b"\x01\xff", "01ff"),
        (77, b"\x01\xff", "01ff"),
        (2, b"", ""),
    ],
)
def test_text_whose_encoding_a_field_names(encoding: int, raw: bytes, shown: str) -> None:
    labels = {0: "gsm7_packed", 1: "utf8", 2: "ucs2", 3: "ucs2_le", 4: "gsm8", 5: "latin1", 6: "octets"}
    kind = Struct((("coding", Number("u", 1, enum="c")), ("text", Text("text", Length("prefix", 1), by="coding"))))
    several = Array(Length("prefix", 1), kind)
    data = bytes([encoding, len(raw)]) + raw
    for whole, value in ((kind, data), (several, b"\2" + data * 2)):
        into: dict[str, Any] = {}
        TlvDecoder(Tlv(16, "t", False, whole), "t", {"c": labels}).values(value, 0, len(value), into, [BUDGET])
        assert into["t.text"] == (shown if whole is kind else [shown, shown])
