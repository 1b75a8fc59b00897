# SPDX-License-Identifier: GPL-2.0-or-later
"""schema.json, which editors use, agrees with the loader about definition files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from qmisniff.definitions.load import Invalid, parse
from qmisniff.paths import data_dir

DISSECTORS = data_dir("dissectors")
FILES = sorted(path for path in DISSECTORS.glob("*.yaml") if path.name != "services.yaml")
SCHEMA = json.loads((DISSECTORS / "schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = "service: DEMO\nid: 250\ntitle: Demo\n"


def accepted(text: str) -> bool:
    """What an editor with the schema says of a file; it sees every key as text."""

    def key_as_text(key: object) -> str:
        return hex(key) if type(key) is int and key >= 0 else str(key)

    def keys_as_text(node: Any) -> Any:
        if isinstance(node, dict):
            return {key_as_text(key): keys_as_text(value) for key, value in node.items()}
        return [keys_as_text(each) for each in node] if isinstance(node, list) else node

    return bool(VALIDATOR.is_valid(keys_as_text(yaml.safe_load(text))))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_definitions_that_come_with_the_program_fit(path: Path) -> None:
    assert accepted(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(service:.*?)```", (DISSECTORS / "README.md").read_text(), re.S))
def test_the_examples_of_the_reference_fit(text: str) -> None:
    assert accepted(text)


@pytest.mark.parametrize(
    "body",
    [
        "extra: 1\n",
        "enums:\n  E: {1: a}\n",
        "enums:\n  e: {one: a}\n",
        "messages:\n  m:\n    request:\n",
        "messages:\n  m:\n    id: 1\n    reply:\n",
        "messages:\n  m:\n    id: 1\n    request: {0x100 a: u8}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a sometimes: u8}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {array: u8}}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {array: u8, of: u8, max: 3}}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {bits: u8, b: x}}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {any: [u8]}}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {rest: u8}}\n",
        "messages:\n  m:\n    id: 1\n    request: {0x10 a: {s: u8, b: {union: s, x: u8}}}\n",
        "messages:\n  m:\n    id: 1\n    examples: [{values: {}}]\n",
    ],
)
def test_what_is_wrong_for_the_loader_is_wrong_for_the_schema(body: str) -> None:
    assert not accepted(HEAD + body)
    with pytest.raises(Invalid):
        parse(HEAD + body, "demo", "demo.yaml")
