# SPDX-License-Identifier: GPL-2.0-or-later
"""One invented service in three projects' formats becomes one definition; what cannot be taken over is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.definitions import Registry, Service
from qmisniff.definitions.cache import plain_body
from qmisniff.definitions.importers import FORMATS, guess_format, read_files
from qmisniff.definitions.importers.c_source import Source
from qmisniff.definitions.importers.draft import Draft, snake, split_kind
from qmisniff.definitions.lint import lint
from qmisniff.definitions.load import Definition, parse
from qmisniff.definitions.model import Header
from qmisniff.definitions.notation import definition_text
from qmisniff.dissect import Dissector
from qmisniff.errors import DefinitionError
from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from tests import factories as make

DATA = Path(__file__).parent / "data"
FILES = {
    "qmic": ["thermo.qmi"],
    "c": ["thermo.c", "thermo.h"],
    "libqmi": ["qmi-service-thermo.json"],
}

ZONE = b"\x03" + b"\x04left" + (90).to_bytes(4, "little")
MESSAGES = [
    make.qmi(0, 1, 0x30, make.tlv(1, b"\x07"), make.tlv(0x10, b"someone")),
    make.qmi(
        2,
        1,
        0x30,
        make.tlv(2, bytes(4)),
        make.tlv(0x10, b"\x02" + ZONE + b"\x04\x05right" + bytes(4)),
        make.tlv(0x11, b"\x15\x01\x03abc"),
        make.tlv(0x12, b"\x03\x00\x01\x00\x02\x00\x03\x00"),
        make.tlv(0x13, b"secret"),
        make.tlv(0x14, (300).to_bytes(2, "little") + bytes(300)),
    ),
    make.qmi(4, 9, 0x31, make.tlv(1, ZONE), make.tlv(0x10, (1 << 40).to_bytes(8, "little"))),
]


def finished(draft: Draft) -> str:
    """The text of the definition; it loads, and the linter has nothing against it."""
    text = definition_text(*draft.finish(Header("thermo", 0xF5, "THERMO", "Thermo")))
    definition, findings = lint(text, "thermo")
    assert definition is not None, f"{findings}\n{text}"
    assert [each for each in findings if each.severity == "error"] == []
    return text


def imported(form: str, files: dict[str, str]) -> tuple[Definition, list[str]]:
    draft = read_files(form, files)
    return parse(finished(draft), "thermo", "imported"), draft.notes


def one(form: str, text: str, **more: str) -> tuple[Any, list[str]]:
    """The type of the TLV 0x01 of the only message's first kind, and the notes."""
    definition, notes = imported(form, {"file": text, **more})
    (tlvs,) = [tlvs for tlvs in definition.messages[0].tlvs if tlvs]
    return tlvs[0].type, notes


def decoded(definition: Definition, message: bytes) -> dict[str, Any]:
    registry = Registry([])
    registry.put(Service(definition.header, plain_body(definition)))
    frame = Frame(0, message, len(message), Link.QMI)
    return Dissector(registry).values(frame, Context(1, definition.header.id))


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_layout_from_three_formats_decodes_the_same(form: str) -> None:
    definition, notes = imported(form, {name: (DATA / name).read_text() for name in FILES[form]})
    assert notes == []
    start = "qmi.thermo.get_zones."
    request, response, indication = (decoded(definition, message) for message in MESSAGES)
    for values in (request, response, indication):
        assert "expert.message" not in values
    assert (request[f"{start}mask"], request[f"{start}owner"]) == (7, "someone")
    assert response[f"{start}zones.index"] == [3, 4]
    assert response[f"{start}zones.name"] == ["left", "right"]
    assert response[f"{start}zones.limit"] == [90, 0]
    assert (response[f"{start}last.celsius"], response[f"{start}last.raw"]) == (277, b"abc")
    assert response[f"{start}history"] == [1, 2, 3]
    assert (response[f"{start}key"], response[f"{start}blob"]) == (b"secret", bytes(300))
    assert indication["qmi.thermo.zone_changed.zone.name"] == "left"
    assert indication["qmi.thermo.zone_changed.since"] == 1 << 40


def test_the_three_definitions_are_one() -> None:
    made = [
        parse(finished(read_files(form, {name: (DATA / name).read_text() for name in names})), "thermo", form)
        for form, names in FILES.items()
    ]
    assert made[0] == made[1] == made[2]


def test_a_struct_of_several_uses_is_written_once() -> None:
    text = finished(read_files("qmic", {"thermo.qmi": (DATA / "thermo.qmi").read_text()}))
    assert "  zone_info: {index: u8, name: string u8, limit: u32}\n" in text
    assert "array u8 of zone_info" in text and "zone: zone_info" in text


@pytest.mark.parametrize("name", ["a.json", "b.qmi", "c.c", "d.h"])
def test_formats_by_name(name: str) -> None:
    assert guess_format([name]) in FORMATS


def test_a_name_that_says_nothing() -> None:
    with pytest.raises(DefinitionError, match="--from"):
        guess_format(["notes.txt"])


# ---- qmic ----


def test_qmic_extensions() -> None:
    text = """
    package demo; package_type client;
    enum mode { OFF = 0; ON = 1; };
    struct all {
        char mcc[3]; i16 level; u8 n_n; u8 *n; u8 cells_n;
        struct { u8 id; u64 when; } *cells;
        struct { u8 x; } *more(u16);
    };
    indication all_ind { required all all = 1; } = 0x20;
    """
    kind, notes = one("qmic", text)
    assert [name for name, _ in kind.fields] == ["mcc", "level", "n_n", "n", "cells_n", "cells", "more"]
    assert dict(kind.fields)["cells"].count.field == "cells_n"
    assert notes == ["enum mode: no field says that it uses it, so it is left out"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("package", "1: expected a name, found the end of the file"),
        ("package a;\nstruct b { u9 c; };", "2: expected a type, found 'u9'"),
        ("package a;\n\nrequest r { required u8 x = y; } = 1;", "3: expected a number, found 'y'"),
        ("package a; request r { u8 x = 1; } = 1;", "expected 'required' or 'optional', found 'u8'"),
        ("package a; const b = 09;", "expected a number, found '09'"),
        ("package a; $", "'$' does not belong"),
        ("package a; struct b { u8 *c; };", "expected '(' with the width"),
        ("package a;", "no message found"),
    ],
)
def test_qmic_mistakes_have_their_line(text: str, what: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        read_files("qmic", {"x.qmi": text})
    assert what in str(raised.value) and str(raised.value).startswith("x.qmi:")


# ---- libqmi ----


def libqmi(tlv: dict[str, Any]) -> str:
    return json.dumps(
        [
            {"name": "DEMO", "type": "Service", "description": "Demonstration"},
            {"name": "M", "type": "Indication", "id": "0x20", "output": [{"name": "T", "id": "0x01", **tlv}]},
        ]
    )


@pytest.mark.parametrize(
    ("tlv", "words"),
    [
        ({"format": "gint16", "endian": "network"}, "i16 be"),
        ({"format": "guint8", "public-format": "gboolean"}, "bool"),
        ({"format": "guint-sized", "guint-size": "3"}, "u24"),
        ({"format": "gfloat"}, "f32"),
        ({"format": "string", "fixed-size": "15", "personal-info": "yes"}, "string 15 personal"),
        ({"format": "string", "size-prefix-format": "guint16"}, "string u16"),
        ({"format": "array", "array-element": {"format": "string"}}, "array u8 of string u8"),
        (
            {"format": "array", "sequence-prefix-format": "guint8", "array-element": {"format": "guint16"}},
            "{count: u8, sequence: u8, elements: array count of u16}",
        ),
    ],
)
def test_libqmi_formats(tlv: dict[str, Any], words: str) -> None:
    draft = read_files("libqmi", {"x.json": libqmi(tlv)})
    assert f"0x01 t: {words}\n" in finished(draft)
    assert draft.notes == []


def test_libqmi_enums_come_from_its_headers() -> None:
    header = """typedef enum { /*< underscore_name=qmi_demo_mode >*/
        QMI_DEMO_MODE_LOW = 0x00, /* nothing */
        QMI_DEMO_MODE_HIGH = 0x01,
    } QmiDemoMode;
    typedef enum { QMI_DEMO_CAN_NONE = 0, QMI_DEMO_CAN_READ = 1 << 0, QMI_DEMO_CAN_WRITE = 1 << 1 } QmiDemoCan;"""
    files = {"x.json": libqmi({"format": "guint8", "public-format": "QmiDemoMode"}), "x.h": header}
    text = finished(read_files("libqmi", files))
    assert "demo_mode: {0: low, 1: high}" in text and "t: u8 enum demo_mode\n" in text
    files["x.json"] = libqmi({"format": "guint8", "public-format": "QmiDemoCan"})
    assert "t: u8 flags demo_can\n" in finished(read_files("libqmi", files))
    kind, notes = one("libqmi", libqmi({"format": "guint8", "public-format": "QmiDemoMode"}))
    assert kind.enum == "" and "QmiDemoMode" in notes[0]


def test_libqmi_common_references() -> None:
    common = [{"common-ref": "Thing", "name": "Thing", "id": "0x01", "type": "TLV", "format": "guint16"}]
    text = json.loads(libqmi({}))
    text[1]["output"] = [{"common-ref": "Thing"}, {"common-ref": "Unknown"}]
    draft = read_files("libqmi", {"x.json": json.dumps(text), "common.json": json.dumps(common)})
    assert "0x01 thing: u16\n" in finished(draft)
    assert draft.notes == ["M: 'Unknown' is described nowhere: left out"]


def test_libqmi_unknown_formats_are_bytes_and_said() -> None:
    draft = read_files("libqmi", {"x.json": libqmi({"format": "hologram"})})
    assert "0x01 t: bytes\n" in finished(draft)
    assert "format 'hologram' is not known" in draft.notes[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[\n{]", "x.json:2:2: "),
        ("{}", "not a list of objects"),
        ("[]", "0 services"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_libqmi_mistakes(text: str, what: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        read_files("libqmi", {"x.json": text})
    assert what in str(raised.value)


# ---- C ----

TABLE = """
struct qmi_elem_info demo_m_ind_ei[] = {
    { .data_type = %s, .elem_len = %s, .elem_size = sizeof(u8), .tlv_type = 0x01,
      .offset = offsetof(struct demo_m_ind, t), %s },
    {},
};
#define QMI_DEMO_M_IND_V01 0x20
"""


@pytest.mark.parametrize(
    ("entry", "more", "words"),
    [
        (("QMI_UNSIGNED_4_BYTE", "1", ""), "", "u32"),
        (("QMI_UNSIGNED_4_BYTE", "1", ""), "struct demo_m_ind { u8 t_valid; float t; };", "f32"),
        (("QMI_UNSIGNED_4_BYTE", "1", ""), "struct demo_m_ind { int32_t t; };", "i32"),
        (("QMI_UNSIGNED_1_BYTE", "1", ""), "struct demo_m_ind { bool t; };", "bool"),
        (("QMI_UNSIGNED_1_BYTE", "LEN * 2", ".array_type = STATIC_ARRAY"), "#define LEN 0x8u", "bytes 16"),
        (("QMI_UNSIGNED_2_BYTE", "3", ".is_array = STATIC_ARRAY"), "", "array 3 of u16"),
        (("QMI_STRING", "256", ""), "", "string"),
    ],
)
def test_c_entries(entry: tuple[str, str, str], more: str, words: str) -> None:
    draft = read_files("c", {"x.c": TABLE % entry + more})
    assert f"0x01 t: {words}\n" in finished(draft)
    assert draft.notes == []


def test_c_enums() -> None:
    text = TABLE % ("QMI_SIGNED_4_BYTE_ENUM", "1", "")
    text += "enum mode_v01 { MODE_MIN_VAL_V01 = INT_MIN, MODE_OFF_V01 = 0, MODE_DIM_V01, MODE_ON_V01 = 4 };\n"
    text += "struct demo_m_ind { enum mode_v01 t; };"
    made = finished(read_files("c", {"x.c": text}))
    assert "t: i32 enum mode\n" in made and "mode: {0: off, 1: dim, 4: on}\n" in made


def test_c_message_ids_from_calls_come_before_names() -> None:
    call = "int f(void) { return qmi_send_indication(&h, &sq, OTHER_ID, 40, demo_m_ind_ei, &x); }\n"
    text = TABLE % ("QMI_UNSIGNED_1_BYTE", "1", "") + call + "#define OTHER_ID 0x77\n"
    definition, _ = imported("c", {"x.c": text})
    assert [message.id for message in definition.messages] == [0x77]


def test_c_message_ids_from_handler_tables() -> None:
    handlers = "struct qmi_msg_handler h[] = { { .type = QMI_INDICATION, .msg_id = 0x66, .ei = demo_m_ind_ei }, {} };"
    definition, _ = imported("c", {"x.c": TABLE % ("QMI_UNSIGNED_1_BYTE", "1", "") + handlers})
    assert [message.id for message in definition.messages] == [0x66]


def test_c_what_is_missing_is_said() -> None:
    draft = read_files("c", {"x.c": TABLE % ("QMI_STRUCT", "1", ".ei_array = elsewhere_ei")})
    assert "0x01 t: bytes\n" in finished(draft)
    assert draft.notes == ["demo_m_ind_ei.t: table elsewhere_ei is not in the files: left as bytes"]
    with pytest.raises(DefinitionError, match="no message id found"):
        read_files("c", {"x.c": (TABLE % ("QMI_STRING", "9", "")).replace("#define", "//")})


def test_c_a_table_inside_itself_ends() -> None:
    draft = read_files("c", {"x.c": TABLE % ("QMI_STRUCT", "1", ".ei_array = demo_m_ind_ei") + "#define X_M_IND 1"})
    assert draft.notes


@pytest.mark.parametrize(
    ("expression", "value"),
    [("1", 1), ("0x1fUL", 31), ("010", 8), ("A + 1", 6), ("(A << 2) | BIT(0)", 21), ("-1", -1)],
)
def test_c_constant_expressions(expression: str, value: int) -> None:
    assert Source("#define A 5\n").number(expression) == value


@pytest.mark.parametrize(
    "expression", ["", "B", "f(1)", "1 << 9999", "__import__('os')", "9**9**9", "'a'", "A.real", "(" * 150]
)
def test_c_expressions_that_are_no_constant(expression: str) -> None:
    assert Source("#define A 5\n#define B B\n").number(expression) is None


# ---- names ----


@pytest.mark.parametrize(
    ("text", "name"),
    [("Get Signal Info", "get_signal_info"), ("getSignal", "get_signal"), ("IMS_SMS", "ims_sms"), ("", "value")],
)
def test_names(text: str, name: str) -> None:
    assert snake(text) == name


def test_kinds_by_name() -> None:
    assert split_kind("servreg_get_domain_list_resp_ei") == ("servreg_get_domain_list", 1)
    assert split_kind("get_type") == ("get_type", None)


@given(st.text(max_size=200))
def test_any_text_is_a_definition_or_an_error(text: str) -> None:
    for form in FORMATS:
        try:
            finished(read_files(form, {"file": text}))
        except DefinitionError as error:
            assert str(error)


_WORDS = (
    "package a ; struct { } u8 string = 1 request required optional ( ) 300 [ ] * response indication label qmi_result "
    "result 2 u16 char"
)


@given(st.lists(st.sampled_from(_WORDS.split()), max_size=60))
def test_any_words_of_a_format_are_a_definition_or_an_error(words: list[str]) -> None:
    try:
        finished(read_files("qmic", {"file": "package p; struct a { u8 b; string c; }; " + " ".join(words)}))
    except DefinitionError as error:
        assert str(error)
