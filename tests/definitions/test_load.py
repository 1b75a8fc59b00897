# SPDX-License-Identifier: GPL-2.0-or-later
"""Definition files: what they mean, and every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmisniff.definitions.load import Definition, Invalid, load, parse
from qmisniff.definitions.model import Array, Bytes, Length, Number, Struct, Text
from qmisniff.errors import DefinitionError

HEAD = "service: DEMO\nid: 250\ntitle: Demo\n"


def message(body: str, before: str = "") -> Definition:
    """A definition with one message of id 1; `body` are the lines of its request."""
    lines = "".join(f"      {line}\n" for line in body.splitlines())
    return parse(f"{HEAD}{before}messages:\n  m:\n    id: 1\n    request:\n{lines}", "demo", "demo.yaml")


def problems(text: str) -> list[str]:
    """What is wrong with a file, without the file's name."""
    with pytest.raises(Invalid) as caught:
        parse(text, "demo", "f")
    return [line.removeprefix("f:") for line in caught.value.problems]


def request(definition: Definition) -> dict[str, object]:
    tlvs = definition.messages[0].tlvs[0]
    assert tlvs is not None
    return {tlv.name: tlv.type for tlv in tlvs}


def test_types() -> None:
    lines = "0x10 a: i16 be 0.1 dB\n0x11 b: array u8 of string u16 personal\n0x12 c: {n: u8, d: bytes n}"
    found = request(message(lines))
    assert found == {
        "a": Number("i", 2, big_endian=True, num=1, den=10, unit="dB"),
        "b": Array(Length("prefix", 1), Text("string", Length("prefix", 2), personal=True)),
        "c": Struct((("n", Number("u", 1)), ("d", Bytes(Length("field", 0, "n"))))),
    }


def test_kinds_share_a_section_and_presence_follows_the_id() -> None:
    text = (
        f"{HEAD}messages:\n  m:\n    id: 1\n    indication_title: Told\n    request:\n      0x01 a: u8\n"
        "    response, indication:\n      0x01 b optional: u8\n      0x10 c mandatory: u8\n"
    )
    found = parse(text, "demo", "f").messages[0]
    names = [[(tlv.name, tlv.mandatory) for tlv in section or ()] for section in found.tlvs]
    assert names == [[("a", True)], [("b", False), ("c", True)], [("b", False), ("c", True)]]
    assert (found.title, found.indication_title) == ("M", "Told")


def test_all_errors_of_a_file_come_at_once_with_their_place() -> None:
    text = (
        "service: DEMO\nid: x\ntitle: Demo\n"
        "enums:\n  e: {1: a, 0x1: b}\n"
        "messages:\n"
        "  one:\n    id: 1\n    request:\n      0x10 a: u9\n      0x10 b: u8 enum none\n      nonsense: u8\n"
        "  two:\n    id: 1\n    reply:\n"
    )
    assert problems(text) == [
        "2:5: expected a whole number from 0 to 4294967295",
        "5:13: 1 is given twice",
        "10:15: unknown type 'u9'",
        "11:15: there is no enum 'none' in this file",
        "12:7: a TLV is written `0x10 name: type` (or `0x10 name optional: type`)",
        "13:3: id 0x0001 is taken by one",
        "15:5: unknown key 'reply': expected id, title, indication_title, examples, request, response, indication",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0x10 a:", "a type is missing"),
        ("0x10 a: u8 dBmm", "unknown word 'dBmm'"),
        ("0x10 a: u8 0", "a scale of 0"),
        ("0x10 a: i24", "no type i24"),
        ("0x10 a: f32 enum e", "a float has no enum"),
        ("0x10 a: u8 enum e flags e", "exclude each other"),
        ("0x10 a: u8 enum e 0.5", "no scale"),
        ("0x10 a: u32 since unix", "need the unit"),
        ("0x10 a: u32 s since mars", "need the unit"),
        ("0x10 a: string 0", "not between"),
        ("0x10 a: string 70000", "not between"),
        ("0x10 a: string 99999999999999999999999", "not between"),
        ("0x10 a: string u8 loud", "unknown word 'loud'"),
        ("0x10 a: array u8 u16", "an array is written"),
        ("0x10 a: array u8 of string", "at least one byte"),
        ("0x10 a: array u8 of array 0 of u8", "not between"),
        ("0x10 a: ipv4 le", "unknown word 'le'"),
        ("0x10 a: text u8", "text by FIELD"),
        ("0x10 a: {b: bytes c, c: u8}", "not a whole number earlier"),
        ("0x10 a: {c: f32, b: bytes c}", "not a whole number earlier"),
        ("0x10 a: {c: u8, b: text by c u8}", "has no enum"),
        ("0x10 a: {}", "expected a type"),
        ("0x10 a: [u8]", "expected a type"),
        ("0x10 a: {array: u8}", "an array is written"),
        ("0x10 a: {array: u8, of: u8, max: 3}", "an array is written"),
        ("0x10 a: {bits: i8, b: 0}", "bits are written"),
        ("0x10 a: {bits: u8, b: 8}", "within the 8 bits"),
        ("0x10 a: {bits: u8, b: 3..1}", "within the 8 bits"),
        ("0x10 a: {bits: u8, b: 0..1 enum none}", "no enum 'none'"),
        ("0x10 a: {s: u8, b: {union: t, 0 x: u8}}", "not a whole number earlier"),
        ("0x10 a: {s: u8, b: {union: s, x: u8}}", "a case is written"),
        ("0x10 a: {any: [u8]}", "two layouts"),
        ("0x10 a: {b: {any: [u8, u16]}}", "is not a name"),
        ("0x10 A: u8", "is not a name"),
        ("0x10 of: u8", "is not a name"),
        ("0x100 a: u8", "from 1 to 255"),
        ("0x10 a sometimes: u8", "a TLV is written"),
        ("0x10 a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: u8}}}}}}}}}}", "nested deeper"),
        ("0x10 a: u8\n0x11 a: u8", "the name a is given twice"),
        ("0x10 a: {any: [{x: u8}, {x: string}]}", "m.a.x is uint in one place and string in another"),
    ],
)
def test_wrong_lines(line: str, what: str) -> None:
    with pytest.raises(Invalid, match="demo") as caught:
        message(line, "enums:\n  e: {1: a}\n")
    assert what in str(caught.value)


def test_one_name_means_one_thing_in_all_kinds() -> None:
    text = f"{HEAD}messages:\n  m:\n    id: 1\n    request:\n      0x10 a: u8\n    response:\n      0x11 a: i8\n"
    assert problems(text) == ["5:3: m.a is uint in one place and int in another"]


def test_the_result_is_never_written() -> None:
    kinds = "    response:\n      0x02 result: u32\n    indication:\n      0x02 x: result\n"
    assert len(problems(f"{HEAD}messages:\n  m:\n    id: 1\n{kinds}")) == 1


@pytest.mark.parametrize("text", ["title: x\nservice: y\nid: 3\n", "- a\n- b\n", "just text", f"{HEAD}extra: 1\n"])
def test_files_that_are_no_definition(text: str) -> None:
    assert problems(text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="No such file"):
        load(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"service: \xe9\n")
    with pytest.raises(Invalid, match="not UTF-8"):
        load(tmp_path / "latin.yaml")


_WORDS = """
u8 i16 u24 f32 bool string bytes array of rest u16 12 0.1 -3 dBm enum e flags be personal since unix by text bits union
any {a: u8} {array: u8, of: u16} {bits: u8, x: 0..3} [ ] { } , plmn x result 99999999999 0x
"""
WORDS = st.sampled_from(_WORDS.split())


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=8))
def test_any_words_are_a_type_or_an_error_with_a_place(words: list[str]) -> None:
    try:
        message(f"0x10 a: {' '.join(words)}", "enums:\n  e: {1: a}\n")
    except Invalid as error:
        assert all(line.startswith("demo.yaml:") for line in error.problems)
