# SPDX-License-Identifier: GPL-2.0-or-later
"""Every message of every definition: what the encoder put in comes out, at its offsets, in all of the outputs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from qmisniff.dissect import Dissector
from qmisniff.field import Field, Kind, Value
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from tests.differential.corpus import SERVICES, Case, Sample, cases, frame, in_json, registry, sample
from tests.encoder import leaves

SAMPLES = 3
Row = tuple[str, Value, int, int]


def expected(case: Case, made: Sample) -> list[Row]:
    """Name, value, offset and size of everything that was encoded, in the order of the bytes."""
    rows: list[Row] = []
    end = len(made.data)
    for _, node in reversed(made.tlvs):
        rows[:0] = leaves(node, end - len(node.data))
        end -= 3 + len(node.data)
    return rows


def decoded(root: Field, prefix: str) -> list[Row]:
    """The same of a tree; problems stand among them, because there should be none."""
    rows: list[Row] = []
    for each in root.walk():
        if each.problem is not None:
            rows.append((f"PROBLEM {each.problem.text}", None, each.problem.offset, each.problem.size))
        elif each.spec.kind is not Kind.NONE and each.spec.name.startswith(prefix):
            rows.append((each.spec.name, each.value, each.offset, each.size))
    return rows


def same(ours: Value, theirs: Value) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-15)
    return type(ours) is type(theirs) and ours == theirs


def differences(wanted: list[Row], got: list[Row]) -> Iterator[str]:
    for want, have in zip(wanted, got, strict=False):
        if want[0] != have[0] or want[2:] != have[2:] or not same(want[1], have[1]):
            yield f"wanted {want}, got {have}"
            return
    if len(wanted) != len(got):
        longer, word = (wanted, "missing") if len(wanted) > len(got) else (got, "too many")
        yield f"{word}: {longer[min(len(wanted), len(got))]}"


def flat(rows: list[Row]) -> dict[str, Any]:
    """The rows under their names, as `Dissector.values` gives them: a list where a name occurs more than once."""
    found: dict[str, list[Value]] = {}
    for name, value, _, _ in rows:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def outcome(dissector: Dissector, case: Case, seed: int | str) -> Iterator[str]:
    """Every way in which one sample does not come back."""
    made = sample(case, seed)
    given: tuple[Frame, Context] = frame(case.service.header.id, made.data)
    prefix = f"{case.service.prefix}.{case.message.name}."
    wanted = expected(case, made)
    for text in differences(wanted, decoded(dissector.tree(*given), prefix)):
        yield f"{case}, seed {seed}: {text}: {made.data.hex()}"
    where = f"{case}, seed {seed}"
    values = dissector.values(*given)
    decoded_values = {
        name: value for name, value in values.items() if name.startswith(prefix) and not name.endswith(".label")
    }
    yield from unequal("values()", where, flat(wanted), decoded_values)
    text = json.loads(dissector.json(*given))
    yield from unequal("json()", where, {name: in_json(each) for name, each in values.items()}, text)


def unequal(what: str, where: str, wanted: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    if wanted != got:
        name = min(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
        yield f"{where}: {name}: wanted {wanted.get(name)!r}, {what} gave {got.get(name)!r}"


@pytest.mark.parametrize("number", SERVICES, ids=lambda number: registry().headers[number].name)
def test_what_was_encoded_comes_back(number: int) -> None:
    dissector = Dissector(registry())
    wrong = [text for case in cases(number) for seed in range(SAMPLES) for text in outcome(dissector, case, seed)]
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:20]])


def test_there_are_messages() -> None:
    assert sum(1 for number in SERVICES for _ in cases(number)) > 2000
