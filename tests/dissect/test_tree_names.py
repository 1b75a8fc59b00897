# SPDX-License-Identifier: GPL-2.0-or-later
"""Headings that are open or closed, and filters that name a layer, go by name: no name may stand for two of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.field import Kind
from qmisniff.store import Store

SAMPLES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_layer_has_its_name_for_itself(sample: Path) -> None:
    dissector = Dissector(open_registry())
    store = Store()
    with sample.open("rb") as stream:
        store.extend(Reader(stream))
    for row in range(len(store)):
        root = dissector.tree(store.frame(row), store.context(row))
        layers = {layer.spec.name for layer in root.children if layer.spec.name}
        for field in (field for layer in root.children for field in layer.walk()):
            if field.spec.kind is Kind.NONE and field.spec.name in layers:
                assert any(field is layer for layer in root.children), f"frame {row + 1}: {field.spec.label}"
