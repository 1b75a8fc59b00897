# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written reads as what it was: over every definition that comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qmisniff.definitions.load import Definition, load, parse
from qmisniff.definitions.model import Struct, Type, parts
from qmisniff.definitions.notation import definition_text, quoted
from qmisniff.definitions.yamltree import Mapping, read_tree
from qmisniff.paths import data_dir

FILES = sorted(path for path in data_dir("dissectors").glob("*.yaml") if path.name != "services.yaml")


def by_id(definition: Definition) -> list[Any]:
    """The definition, the TLVs of a message in order of their ids: a file groups them as it likes."""
    messages = [
        [*each._replace(tlvs=(None, None, None)), *[tlvs and sorted(tlvs) for tlvs in each.tlvs]]
        for each in definition.messages
    ]
    return [definition.header, definition.enums, messages]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_written_and_read_is_the_same(path: Path) -> None:
    definition = load(path)
    again = parse(definition_text(definition), path.stem, "written")
    assert by_id(again) == by_id(definition)


def test_named_structs_are_written_once_and_read_as_the_same() -> None:
    definition = load(data_dir("dissectors") / "nas.yaml")
    uses: dict[Type, int] = {}
    for message in definition.messages:
        for tlvs in message.tlvs:
            for tlv in tlvs or ():
                for kind in parts(tlv.type):
                    if isinstance(kind, Struct) and len(kind.fields) > 2:
                        uses[kind] = uses.get(kind, 0) + 1
    names = {kind: f"named_{at}" for at, (kind, count) in enumerate(uses.items()) if count > 1}
    assert names
    # A name can be used below the line that gives it: inner structs first.
    inner_first = dict(sorted(names.items(), key=lambda item: len(list(parts(item[0])))))
    text = definition_text(definition, inner_first)
    assert by_id(parse(text, "nas", "written")) == by_id(definition)
    assert len(text) < len(definition_text(definition))


@pytest.mark.parametrize(
    "text",
    ["plain", "5gnr", "- dash", "a: b", "#hash", 'quo"te', "back\\slash", "[x]", " space ", "", "*star", "?", "~"],
)
def test_any_label_survives_quotes(text: str) -> None:
    tree = read_tree(f"key: {quoted(text)}\nflow: {{key: {quoted(text)}}}\n")
    assert isinstance(tree, Mapping)
    assert [str(value) if not isinstance(value, Mapping) else dict(value) for value in tree.values()] == [
        text,
        {"key": text},
    ]
