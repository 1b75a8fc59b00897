# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged messages of every service: an answer always, in time, about bytes that are there.

A million of them, by hand: python -m tests.differential.mutations
"""

from __future__ import annotations

import random

import pytest

from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from tests.differential.mutations import SLOW_NS, mutate, mutated, outside, run, very_long

COUNT = 30_000
SPEC = FieldSpec("x", "x", Kind.NONE)


def test_damaged_messages() -> None:
    found = run(mutated(COUNT, seed=20_260))
    assert not found.failures, "\n".join([f"{len(found.failures)} failures", *found.failures[:10]])
    assert not found.slow, "\n".join(found.slow[:10])
    assert found.messages == COUNT
    assert found.problems > COUNT / 2  # the damage is real


def test_very_long_values() -> None:
    found = run(very_long(step=13), limit_ns=2 * SLOW_NS)  # other tests run beside this one
    assert not found.failures, "\n".join(
        [f"{len(found.failures)} failures", *(text[:500] for text in found.failures[:10])]
    )
    assert not found.slow, "\n".join(text[:500] for text in found.slow[:10])
    assert found.messages > 300


def test_the_same_seed_makes_the_same_damage() -> None:
    data = bytes(range(64))
    assert [mutate(random.Random(5), data) for _ in range(3)] == [mutate(random.Random(5), data)] * 3
    assert len({mutate(random.Random(seed), data) for seed in range(50)}) > 40


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ([Field(SPEC, None, 4, 4)], ""),
        ([Field(SPEC, None, 0, 2, [Field(SPEC, None, 6, 2)])], ""),  # padding of a layer
        ([Field(SPEC, None, 4, 5)], "not within 0..8"),
        ([Field(SPEC, None, -1, 2)], "not within 0..8"),
        ([Field(SPEC, None, 0, -1)], "not within 0..8"),
        ([Field(SPEC, None, 0, 2, [Field(SPEC, None, 6, 3)])], "not within 0..8"),
        ([Field(SPEC, None, 0, 8, [Field(SPEC, None, 4, 2, [Field(SPEC, None, 5, 2)])])], "not within 4..6"),
        ([Field(SPEC, None, 0, 8, [], Problem(Severity.WARN, "far", 8, 1))], "problem 'far'"),
    ],
)
def test_a_field_outside_is_found(layers: list[Field], word: str) -> None:
    found = outside(Field(SPEC, None, 0, 8, layers), 8)
    assert (word in found) if word else found == ""
