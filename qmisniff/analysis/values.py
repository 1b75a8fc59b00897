# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of one field over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.names import Names, frame_column, time_column
from qmisniff.analysis.rows import Cancel, Cancelled, Rows, never, numbers, times
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.dissect.text import value_as_text
from qmisniff.errors import UsageError
from qmisniff.field import FieldSpec, Kind
from qmisniff.filter import compile_filter
from qmisniff.filter.catalogue import Catalogue
from qmisniff.store import Store
from qmisniff.store.headers import I8, Any1

_NUMBERS = frozenset({Kind.UINT, Kind.INT, Kind.FLOAT, Kind.BOOL})
_PART = 256  # frames decoded between two looks at whether to go on


class Values(NamedTuple):
    """One element a value, in order of capture; a frame may hold several."""

    spec: FieldSpec
    row: I8
    ts_ns: I8
    value: list[int | float]  # as the dissector shows it; truth values are 0 and 1


def numeric_field(dissector: Dissector, name: str) -> FieldSpec:
    """What stands under a filter name. Raises UsageError where there is nothing, or no number."""
    catalogue = Catalogue(dissector.registry)
    spec = catalogue.find(name)
    if spec is None:
        meant = catalogue.similar(name)
        raise UsageError(f"there is no field {name!r}", f"did you mean {meant}?" if meant else "`qmisniff fields`")
    if spec.kind not in _NUMBERS:
        raise UsageError(f"{name} is no number", "only numbers can be seen over time")
    return spec


def values(store: Store, dissector: Dissector, name: str, rows: Rows, cancel: Cancel = never) -> Values:
    """Every value of a field in these rows. Raises UsageError where the name is not a number's, and Cancelled."""
    spec = numeric_field(dissector, name)
    wanted = numbers(rows)
    row: list[int] = []
    value: list[int | float] = []
    start, stop = (int(wanted[0]), int(wanted[-1]) + 1) if len(wanted) else (0, 0)
    for found in compile_filter(name, dissector.registry).rows(store, dissector, start, stop, cancel):
        here = np.array(found.rows, np.int64)
        here = here[wanted[np.searchsorted(wanted, here)] == here] if len(here) else here
        for count, each in enumerate(here.tolist()):
            if count % _PART == 0 and cancel():
                raise Cancelled
            held = dissector.values(store.frame(each), store.context(each)).get(name, [])
            several = held if isinstance(held, list) else [held]
            row += [each] * len(several)
            value += [int(one) if isinstance(one, bool) else one for one in several]
    if cancel():
        raise Cancelled
    at = np.array(row, np.int64)
    return Values(spec, at, times(store, at), value)


def values_table(found: Values, names: Names) -> Table:
    """In order of capture."""
    spec = found.spec

    def value(at: int) -> table.Cell:
        return found.value[at]

    def text(at: int) -> str:
        return value_as_text(spec, found.value[at])

    def order() -> Any1:
        return np.array(found.value, np.float64)

    columns = (
        frame_column("frame", "Frame", found.row, 1),
        time_column("time", "Since start", found.ts_ns, names, 2),
        table.Column("value", spec.name, 24, 0, value, text, order, right=True),
    )

    def condition(at: int) -> str:
        # The value as the dissector has it: a fraction is written with all its digits.
        return f"{spec.name} == {found.value[at]!r}"

    return Table(columns, len(found.value), ("frame", False), lambda at: int(found.row[at]), condition)
