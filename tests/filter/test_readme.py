# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's table of filters is complete, and its examples select something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.filter.lexer import OPERATORS
from qmisniff.filter.resolve import FUNCTIONS
from qmisniff.store import Store
from tests.filter import capture

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("### Filter")[2].partition("\nNot supported")[0]
ROWS = re.findall(r"^\| (.+) \| `(.+)` \|$", SECTION, re.MULTILINE)


@pytest.fixture(scope="module")
def stores() -> list[Store]:
    made, sample = Store(), Store()
    made.extend(capture.frames())
    with (ROOT / "captures/first-contact.pcapng").open("rb") as stream:
        sample.extend(Reader(stream, "first-contact.pcapng"))
    return [sample, made]


@pytest.mark.parametrize("example", [example for _, example in ROWS])
def test_examples_select_some_frames_and_not_others(example: str, stores: list[Store]) -> None:
    found = [len(capture.numbers(example, store)) for store in stores]
    assert 0 < sum(found) < sum(map(len, stores)) or example.startswith(("tap.synthetic", "frame.time"))
    assert sum(found) > 0


def test_every_operator_and_function_is_listed() -> None:
    listed = {word for what, _ in ROWS for word in re.findall(r"`([^`]+)`", what)} | {"||"}
    assert set(OPERATORS) <= listed
    assert {f"{name}()" for name in FUNCTIONS} <= listed
