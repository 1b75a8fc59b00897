# SPDX-License-Identifier: GPL-2.0-or-later
"""Protocol buffers inside a TLV: fields found at their places, and nothing else taken for one."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.definitions import Registry
from qmisniff.definitions.load import Invalid, parse
from qmisniff.dissect import Dissector
from qmisniff.dissect.protobuf import MAX_DEPTH
from qmisniff.dissect.text import field_text
from qmisniff.field import Field, Severity
from qmisniff.frame import Link
from qmisniff.paths import data_dir
from qmisniff.protocol.context import Context
from tests import factories as make

SSC = 400
CONTEXT = Context(1, SSC)
DISSECTOR = Dissector(Registry([data_dir("dissectors")]))
DATA = 7 + 3 + 2  # where the protocol buffer begins


def frame(content: bytes) -> Any:
    value = struct.pack("<H", len(content)) + content
    return make.frame(make.qmi(0, 1, 0x20, make.tlv(1, value)), link=Link.QMI)


def lines(content: bytes) -> list[str]:
    """The headings of the fields, each with a `>` for its depth."""
    tree = DISSECTOR.tree(frame(content), CONTEXT)
    (data,) = (field for field in tree.walk() if field.spec.name == "qmi.ssc.control.data")
    return [f"{'>' * depth}{field_text(field)}" for field, depth in below(data, 0) if field.spec.label == "Field"]


def below(field: Field, depth: int) -> list[tuple[Field, int]]:
    return [each for child in field.children for each in [(child, depth), *below(child, depth + 1)]]


def values(content: bytes) -> dict[str, Any]:
    return DISSECTOR.values(frame(content), CONTEXT)


def nested(content: bytes, times: int) -> bytes:
    for _ in range(times):
        content = b"\x0a" + bytes([len(content)]) + content
    return content


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("08 96 01", ["Field: 1, varint: 150"]),
        ("08 ff ff ff ff ff ff ff ff ff 01", ["Field: 1, varint: 18446744073709551615"]),
        ("f8 ff ff ff 0f 00", ["Field: 536870911, varint: 0"]),  # the highest number
        ("15 00 02 00 00", ["Field: 2, fixed32: 512"]),
        ("11 01 00 00 00 00 00 00 00", ["Field: 2, fixed64: 1"]),
        ("12 07 74 65 73 74 69 6e 67", ["Field: 2, length-delimited: testing"]),
        ("12 00", ["Field: 2, length-delimited: (empty)"]),
        ("1a 03 08 96 01", ["Field: 3, length-delimited: message", ">Field: 1, varint: 150"]),
        ("1a 03 08 96 81", ["Field: 3, length-delimited: 08 96 81"]),  # ends inside a number: no message
        ("22 02 c3 28", ["Field: 4, length-delimited: c3 28"]),  # neither UTF-8 nor a message
        ("", []),
    ],
)
def test_fields(content: str, shown: list[str]) -> None:
    assert lines(bytes.fromhex(content)) == shown
    assert "expert.message" not in values(bytes.fromhex(content))


def test_values_have_wiresharks_names_and_their_place() -> None:
    content = bytes.fromhex("0d 0000c03f 12 02 6f6b")
    found = {name: value for name, value in values(content).items() if name.startswith("protobuf.")}
    assert found == {
        "protobuf.field.number": [1, 2],
        "protobuf.field.wiretype": [5, 2],
        "protobuf.field.wiretype.label": ["fixed32", "length-delimited"],
        "protobuf.field.value.uint32": 0x3FC00000,
        "protobuf.field.value.float": 1.5,
        "protobuf.field.value.length": 2,
        "protobuf.field.value.string": "ok",
        "protobuf.field.value": b"ok",
    }
    places = {field.spec.name: (field.offset - DATA, field.size) for field in
              DISSECTOR.tree(frame(content), CONTEXT).walk() if field.spec.name.startswith("protobuf.")}  # fmt: skip
    assert places["protobuf.field.value.float"] == (1, 4)
    assert places["protobuf.field.value.length"] == (6, 1)
    assert places["protobuf.field.value.string"] == (7, 2)


@pytest.mark.parametrize(
    "broken",
    [
        "08",  # a tag without a value
        "00 01",  # field number 0
        "0b 08 01 0c",  # a group
        "12 05 61",  # longer than what is left
        "08 ff ff ff ff ff ff ff ff ff 02",  # more than 64 bits
        "08 80 80 80 80 80 80 80 80 80 80 80 01",
        "0d 01 02 03",
    ],
)
def test_what_is_no_protocol_buffer_stays_bytes_and_is_told(broken: str) -> None:
    good, bad = b"\x08\x01", bytes.fromhex(broken)
    assert lines(good + bad) == ["Field: 1, varint: 1"]
    found = values(good + bad)
    assert found["qmi.ssc.control.data"] == good + bad
    assert found["expert.message"] == "data: no protocol buffer from here on"
    assert found["expert.severity"] == Severity.NOTE
    (problem,) = (field.problem for field in DISSECTOR.tree(frame(good + bad), CONTEXT).walk() if field.problem)
    assert problem is not None
    assert (problem.offset - DATA, problem.size) == (len(good), len(bad))


def test_depth_is_bounded() -> None:
    shown = lines(nested(b"\x08\x01", 30))
    assert len(shown) == MAX_DEPTH + 1


@pytest.mark.parametrize("content", [b"\x08\x01" * 30_000, b"\x0a\x04\x08\x01\x08\x02" * 10_000, b"\x0a\0" * 30_000])
def test_fields_are_bounded(content: bytes) -> None:
    found = values(content)
    assert found["expert.message"] == "data: too many fields to show"
    assert found["qmi.ssc.control.data"] == content
    assert sum(1 for _ in DISSECTOR.tree(frame(content), CONTEXT).walk()) < 10_000


FIELD = st.one_of(
    st.tuples(st.sampled_from([b"\x08", b"\x10"]), st.integers(0, 127)).map(lambda each: each[0] + bytes([each[1]])),
    st.binary(min_size=4, max_size=4).map(lambda each: b"\x15" + each),
    st.binary(max_size=20).map(lambda each: b"\x1a" + bytes([len(each)]) + each),
)


@given(st.one_of(st.binary(max_size=120), st.lists(FIELD, max_size=8).map(b"".join)))
def test_tree_values_and_json_agree_on_any_bytes(content: bytes) -> None:
    given = frame(content)
    tree, found = DISSECTOR.tree(given, CONTEXT), values(content)
    end = DATA + len(content)
    shown: dict[str, list[Any]] = {}
    for field in tree.walk():
        if field.spec.name.startswith("protobuf."):
            assert DATA <= field.offset <= field.offset + field.size <= end
            shown.setdefault(field.spec.name, []).append(field.value)
    flat = {name: value for name, value in found.items() if name.startswith("protobuf.") and "label" not in name}
    assert repr(flat) == repr({name: value if len(value) > 1 else value[0] for name, value in shown.items()})
    assert json.loads(DISSECTOR.json(given, CONTEXT)).keys() == found.keys()


@pytest.mark.parametrize("type_", ["{a: u8, b: protobuf}", "array u8 of protobuf u8", "{any: [protobuf u8, bytes]}"])
def test_it_is_the_whole_value_of_a_tlv(type_: str) -> None:
    text = f"service: X\nid: 1\ntitle: X\nmessages:\n  m:\n    id: 1\n    request:\n      0x10 x: {type_}\n"
    with pytest.raises(Invalid, match="8:15: a protobuf is the whole value of a TLV"):
        parse(text, "x", "x.yaml")
