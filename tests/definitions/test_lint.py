# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thing the linter looks for, found once and at its place; the definitions of the program are clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.definitions.lint import clashes, lint
from qmisniff.definitions.load import load, parse
from qmisniff.paths import data_dir

HEAD = "service: DEMO\nid: 250\ntitle: Demo\n"  # so the text below begins on line 4
FILES = sorted(path for path in data_dir("dissectors").glob("*.yaml") if path.name != "services.yaml")


def found(body: str, name: str = "demo") -> list[tuple[int, str, str]]:
    return [(each.line, each.severity, each.text) for each in lint(HEAD + body, name)[1]]


def message(tlv: str) -> str:
    return f"messages:\n  m:\n    id: 1\n    request:\n      0x01 t: {tlv}\n"


def test_a_clean_file_is_clean() -> None:
    body = "enums: {e: {0: off, 1: on}}\ntypes: {p: {x: u8, y: u8 enum e}}\n" + message("array u8 of p")
    assert found(body) == []


def test_what_the_loader_refuses_is_found_all_at_once() -> None:
    definition, findings = lint(HEAD + message("u9") + "  n: {request: }\n", "demo")
    assert definition is None
    assert [(each.line, each.column, each.severity) for each in findings] == [(8, 15, "error"), (9, 3, "error")]


@pytest.mark.parametrize(
    ("tlv", "text"),
    [
        ("{a: string, b: u8}", "t.b is never reached: a takes all bytes before it"),
        ("{a: {x: u8, y: array rest of u8}, b: u8}", "t.b is never reached: a takes all bytes before it"),
        ("{array: u8, of: {a: u8, b: bytes}}", "t: the first element takes all bytes, a second one is never reached"),
        ("{any: [bytes, bytes 4]}", "t: layout 1 fits any bytes, the next is never tried"),
        ("{k: u8, v: {union: k, 0 a: u8, 0x0 b: u8}}", "t.v.b is never reached: 0 means a already"),
    ],
)
def test_what_no_byte_can_reach_is_an_error(tlv: str, text: str) -> None:
    assert found(message(tlv)) == [(8, "error", text)]


@pytest.mark.parametrize(
    "tlv", ["{a: u8, b: string}", "{any: [bytes 4, bytes]}", "{a: string u8, b: array rest of u8}"]
)
def test_the_rest_at_the_end_is_fine(tlv: str) -> None:
    assert found(message(tlv)) == []


def test_overlapping_bits() -> None:
    assert found(message("{bits: u8, a: 0..3, b: 3..4}")) == [(8, "warning", "t: bit 3 belongs to a and to b")]


@pytest.mark.parametrize(
    ("values", "use", "text"),
    [
        ("{0: off, 1: off}", "u8 enum e", "off stands for 0 and for 1"),
        ("{0: a, 1: b, 2: c, 3: d, 4: e, 5: f, 6: g, 8: h}", "u8 enum e", "7 is missing between 0 and 8"),
        ("{1: a, 2: b, 4: c, 8: d}", "u8 enum e", "the values of e look like masks: flags e?"),
        ("{1: a, 2: b, 5: c}", "u8 flags e", "c (0x5) is neither one bit nor made of the other masks: enum e?"),
        ("{0: a, 256: b}", "u8 enum e", "b (256) does not fit into any number that uses enum e"),
        ("{0: a, -1: b}", "u8 enum e", "b (-1) does not fit into any number that uses enum e"),
        ("{0: a}", "u8", "enum e is not used"),
    ],
)
def test_enums(values: str, use: str, text: str) -> None:
    assert found(f"enums: {{e: {values}}}\n" + message(use)) == [(4, "warning", text)]


@pytest.mark.parametrize(
    ("values", "use"),
    [
        ("{0: a, 1: b, 2: c, 9: d}", "u8 enum e"),
        ("{-1: a, 0: b}", "i8 enum e"),
        ("{1: a, 2: b, 3: both, 0xff: all}", "u8 flags e"),
        ("{1: a, 0xe: group}", "u8 flags e"),
        ("{0: a, 3: b}", "{bits: u8, x: 0..1 enum e}"),
    ],
)
def test_enums_that_are_fine(values: str, use: str) -> None:
    assert found(f"enums: {{e: {values}}}\n" + message(use)) == []


def test_an_enum_value_that_does_not_fit_is_named_at_its_line() -> None:
    assert [each[0] for each in found("enums:\n  e:\n    0x0: a\n    0x100: b\n" + message("u8 enum e"))] == [7]


def test_a_case_that_the_selector_cannot_be() -> None:
    body = "enums: {e: {0: off, 1: on}}\n" + message("{k: u8 enum e, v: {union: k, 0 a: u8, 7 b: u8}}")
    assert found(body) == [(9, "warning", "t.v: case 7 is not among the values of k")]


def test_an_unused_type() -> None:
    assert found("types: {p: {x: u8, y: u8}}\n" + message("u8")) == [(4, "warning", "type p is not used")]


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        ("i8 dBm", "i8 dB", "t is 1 dBm in one place and 1 dB in another"),
        ("i8 0.1", "i8 0.5", "t is 0.1 in one place and 0.5 in another"),
        ("string", "string personal", "t is not personal in one place and personal in another"),
        ("u8", "u8 enum e", "t has names of values in one place and none in another"),
        ("u8 enum f", "u8 enum e", "t has other names of values in one place than in another"),
    ],
)
def test_one_name_with_two_meanings(one: str, other: str, text: str) -> None:
    body = f"enums: {{e: {{0: off}}, f: {{0: out}}}}\nmessages:\n  m: {{id: 1, request: {{0x01 t: {one}}}, "
    findings = found(body + f"response: {{0x01 t: {other}}}}}\n")
    assert (6, "warning", text) in findings
    assert all("is not used" in what for _, _, what in findings if what != text)


def test_two_messages_of_one_title() -> None:
    body = "messages:\n  a: {id: 1, title: Same, request: }\n  b: {id: 2, title: Same, request: }\n"
    assert found(body) == [(6, "warning", "has the title of a: Same")]


def test_a_service_named_as_a_field_of_every_message() -> None:
    assert found(message("u8"), name="time") == [
        (1, "warning", "the filter names begin as the field qmi.time of every message does")
    ]


def test_a_struct_of_several_uses_is_reported_once() -> None:
    body = "types: {p: {a: string, b: u8}}\n" + message("p") + "      0x02 s: p\n"
    assert [what for _, _, what in found(body)] == ["t.b is never reached: a takes all bytes before it"]


def test_examples_are_run_by_whoever_can_decode() -> None:
    body = message("u8") + "    examples:\n      - {hex: 00, values: {}}\n"
    findings = lint(HEAD + body, "demo", lambda definition, message: [f"{message.name} is wrong"])[1]
    assert [(each.line, each.text) for each in findings] == [(9, "m is wrong")]


def test_services_that_clash() -> None:
    one, two = (parse(HEAD + message("u8"), name, name) for name in ("a", "b"))
    assert list(clashes({"a.yaml": one, "b.yaml": two})) == [
        ("b.yaml", "service id 250 is that of a.yaml"),
        ("b.yaml", "service DEMO is the name of a.yaml"),
    ]
    assert list(clashes({"a.yaml": one})) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_definitions_have_no_errors(path: Path) -> None:
    findings = lint(path.read_text(encoding="utf-8"), path.stem)[1]
    assert [each for each in findings if each.severity == "error"] == []


def test_shipped_services_do_not_clash() -> None:
    assert list(clashes({path.name: load(path) for path in FILES})) == []
