# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that a definition says becomes code, whatever it says; it is shown as the text it is."""

from __future__ import annotations

import json
import linecache
from pathlib import Path

import pytest

from qmisniff.definitions import Registry
from qmisniff.definitions.load import Invalid, parse
from qmisniff.definitions.model import Array, Length, Number, Struct, Text, Tlv, Union
from qmisniff.dissect import Dissector
from qmisniff.dissect.compile import Output
from qmisniff.dissect.text import field_text
from qmisniff.dissect.tlv import TlvDecoder
from qmisniff.field import Field
from qmisniff.frame import Link
from qmisniff.protocol.context import Context
from tests import factories

HOSTILE = [
    "x'] = 1\n    import os; os.system('touch /tmp/qmisniff-was-here') #",
    '"""',
    "%s%d%(x)s%",
    "{0.__class__}",
    "\\",
    "\x1b[31m",
    "k0",
    "o",
    "__import__('os')",
]
U8 = Number("u", 1)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_labels_never_become_source(text: str) -> None:
    """Names like these do not pass the loader; the compiler must be safe without it."""
    enums = {text: {1: text}}
    union = Union(text, ((1, text, Text("string", Length("prefix", 1))),))
    array = Array(Length("field", 0, "n"), U8)
    inner = Struct(((text, Number("u", 1, enum=text)), ("n", U8), (f"{text}2", array), ("u", union)))
    decoder = TlvDecoder(Tlv(16, text, False, Array(Length("prefix", 1), inner)), f"qmi.{text}", enums)
    data = bytes([1, 1, 1, 7, 2]) + b"hi"
    fields: list[Field] = []
    values: dict[str, object] = {}
    pieces: list[str] = []
    budget = [1000]
    assert decoder.tree(data, 0, len(data), fields, budget) is None
    assert decoder.values(data, 0, len(data), values, budget) is None
    assert decoder.quick(Output.JSON)(data, 0, len(data), pieces, budget) == len(data)
    assert values[f"qmi.{text}.{text}.label"] == text
    assert values[f"qmi.{text}.u.{text}"] == "hi"
    assert all(field_text(field).isprintable() for field in fields[0].walk())
    sources = "".join(
        "".join(linecache.getlines(file)) for file in list(linecache.cache) if file.startswith("<qmisniff")
    )
    assert "def decode(" in sources
    assert text not in sources or text in ("k0", "o", "\\")
    assert not Path("/tmp/qmisniff-was-here").exists()


@pytest.mark.parametrize("text", [*HOSTILE[:6], HOSTILE[-1], "Ä", "a b", "a-b", "A", "", "x" * 81])
def test_such_names_do_not_pass_the_loader(text: str) -> None:
    file = f"service: D\nid: 1\ntitle: D\nmessages:\n  {json.dumps(text)}:\n    id: 1\n"
    with pytest.raises(Invalid):
        parse(file, "d", "d.yaml")


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "x" * 300, ""])
def test_labels_are_short_printable_text(text: str) -> None:
    file = f"service: D\nid: 1\ntitle: D\nenums:\n  e: {{1: {json.dumps(text)}}}\n"
    with pytest.raises(Invalid, match="short text"):
        parse(file, "d", "d.yaml")


def test_labels_with_format_characters_come_out_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "demo.yaml").write_text(
        'service: "%s{x}"\nid: 9\ntitle: D\nenums:\n  e: {1: "50% {of} \'it\' \\""}\n'
        'messages:\n  m:\n    id: 1\n    title: "%d {m}"\n    request:\n      0x10 a: u8 enum e\n'
    )
    dissector = Dissector(Registry([tmp_path]))
    message = factories.qmi(0, 1, 1, factories.tlv(16, b"\1"))
    frame, context = factories.frame(message, link=Link.QMI), Context(1, 9)
    found = json.loads(dissector.json(frame, context))
    assert found["qmi.demo.m.a.label"] == "50% {of} 'it' \""
    assert (found["qmi.msgid.label"], found["qmi.service.label"]) == ("%d {m}", "%s{x}")
    assert found == dissector.values(frame, context)
    assert dissector.summary(frame, context).info == "Request: %d {m}, txn 1 (a)"
