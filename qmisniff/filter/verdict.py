# SPDX-License-Identifier: GPL-2.0-or-later
"""What columns say about rows: which pass a test, which fail, which must be decoded to know."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.filter.evaluate import COMPARE
from qmisniff.filter.literals import Network, Value
from qmisniff.filter.resolve import Bits, Compared, Constant, Exists, FieldValues, Source, Test, Within
from qmisniff.protocol.arrays import Mask, Numbers


class Verdict(NamedTuple):
    """Rows that pass and rows that fail; a row in neither must be decoded."""

    yes: Mask
    no: Mask


class Column(NamedTuple):
    """A field with at most one value a row: where `known`, it is `present` with a value or not there at all."""

    values: Numbers
    present: Mask
    known: Mask

    def verdict(self, outcome: Mask) -> Verdict:
        """What follows from which values pass."""
        passed = outcome & self.present
        return Verdict(self.known & passed, self.known & ~passed)


def outcome(test: Test, values: Numbers) -> Mask | None:
    """Which of these values of the only field of a test pass; None for tests that need more than a number each."""
    match test:
        case Exists(FieldValues()):
            return np.ones(len(values), bool)
        case Exists(Bits() as source) if (found := _shown(source, values)) is not None:
            return np.asarray(found != 0)
        case Compared(word, _, left, Constant(value)) if isinstance(value, int | float):
            found = _shown(left, values)
            return None if found is None else np.asarray(COMPARE[word](found, value))
        case Within(FieldValues(), single, between):
            return _within(values, single, between)
    return None


def _shown(source: Source, values: Numbers) -> Numbers | None:
    match source:
        case FieldValues():
            return values
        case Bits(FieldValues(), mask) if isinstance(mask, int) and mask < 2**63 and values.dtype == np.int64:
            return values & mask
    return None


def _within(
    values: Numbers, single: tuple[Value | Network, ...], between: tuple[tuple[Value, Value], ...]
) -> Mask | None:
    passed = np.zeros(len(values), bool)
    for each in single:
        if not isinstance(each, int | float):
            return None
        passed |= values == each
    for low, high in between:
        passed |= (values >= low) & (values <= high)
    return passed
