# SPDX-License-Identifier: GPL-2.0-or-later
"""The definitions that come with the program: each is valid, and each example in it decodes to what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qmisniff.definitions import Registry
from qmisniff.definitions.load import load
from qmisniff.dissect import Dissector
from qmisniff.dissect.examples import check_examples
from qmisniff.paths import data_dir

DEFINITIONS = sorted(path for path in data_dir("dissectors").glob("*.yaml") if path.name != "services.yaml")
README = data_dir("dissectors") / "README.md"
README_FILES = re.findall(r"```yaml\n(service:.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def failures(directory: Path) -> list[str]:
    """Everything wrong with the definitions of a directory and their examples."""
    registry = Registry([directory])
    dissector = Dissector(registry)
    lines: list[str] = []
    for number in registry.headers:
        if (service := registry.service(number)) is not None:
            for name in service.message_names():
                message = service.message_named(name)
                assert message is not None
                lines += check_examples(dissector, service, message)
    return registry.problems + lines


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_definition(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load(path)  # raises with every error of the file
    (tmp_path / path.name).write_bytes(path.read_bytes())
    assert failures(tmp_path) == []


def test_every_service_id_is_defined_once() -> None:
    ids = [load(path).header.id for path in DEFINITIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", README_FILES)
def test_format_reference(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "demo.yaml").write_text(text, encoding="utf-8")
    assert failures(tmp_path) == []


def test_a_wrong_example_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "demo.yaml").write_text(README_FILES[0].replace("strength.snr: 12.3", "strength.snr: 12.4"))
    assert len(failures(tmp_path)) == 1
