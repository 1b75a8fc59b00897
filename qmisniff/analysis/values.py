# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of one field over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.names import Names, frame_column, time_column
from qmisniff.analysis.rows import Cancel, Cancelled, Rows, never, pieces, times
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.dissect.names import held
from qmisniff.dissect.text import value_as_text
from qmisniff.errors import UsageError
from qmisniff.field import FieldSpec, Kind
from qmisniff.filter import compile_filter
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.columns import ColumnTests
from qmisniff.filter.quote import number
from qmisniff.protocol.arrays import I8, Numbers
from qmisniff.store import Store

NUMBERS = frozenset({Kind.UINT, Kind.INT, Kind.FLOAT, Kind.BOOL})
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
    if spec.kind not in NUMBERS:
        raise UsageError(f"{name} is no number", "only numbers can be seen over time")
    return spec


def values(store: Store, dissector: Dissector, name: str, rows: Rows, cancel: Cancel = never) -> Values:
    """Every value of a field in these rows. Raises UsageError where the name is not a number's, and Cancelled."""
    spec = numeric_field(dissector, name)
    found = _Found(store, dissector, name, cancel)
    tests = ColumnTests(store, dissector.registry)
    for columns, places in pieces(store, rows, cancel):
        column = tests.column(name, columns)
        if column is None:
            found.decode(_holding(store, dissector, name, places + columns.first, cancel))
            continue
        sure = places[(column.known & column.present)[places]]
        there = column.values[sure] / 1e9 if name in NANOSECONDS else column.values[sure]
        found.add((sure + columns.first).tolist(), there.tolist())
        found.decode(places[~column.known[places]] + columns.first)
    at = np.array(found.row, np.int64)
    order = np.argsort(at, kind="stable")
    return Values(spec, at[order], times(store, at[order]), [found.value[each] for each in order.tolist()])


def _holding(store: Store, dissector: Dissector, name: str, rows: I8, cancel: Cancel) -> I8:
    """Those of the rows that have the field."""
    start, stop = int(rows[0]), int(rows[-1]) + 1
    parts = compile_filter(name, dissector.registry).rows(store, dissector, start, stop, cancel)
    there = np.array([row for part in parts for row in part.rows], np.int64)
    return np.intersect1d(rows, there, assume_unique=True)


class _Found:
    """Rows and their values so far."""

    def __init__(self, store: Store, dissector: Dissector, name: str, cancel: Cancel) -> None:
        self.row: list[int] = []
        self.value: list[int | float] = []
        self._store = store
        self._dissector = dissector
        self._name = name
        self._cancel = cancel

    def add(self, rows: list[int], values: list[int | float]) -> None:
        """These rows have these values."""
        self.row += rows
        self.value += values

    def decode(self, rows: I8) -> None:
        """Decode these rows for their values."""
        for count, row in enumerate(rows.tolist()):
            if count % _PART == 0 and self._cancel():
                raise Cancelled
            several = held(self._dissector.values(self._store.frame(row), self._store.context(row)), self._name)
            self.add([row] * len(several), [int(one) if isinstance(one, bool) else one for one in several])


def values_table(found: Values, names: Names) -> Table:
    """In order of capture."""
    spec = found.spec

    def value(at: int) -> table.Cell:
        return found.value[at]

    def text(at: int) -> str:
        return value_as_text(spec, found.value[at])

    def order() -> Numbers:
        return np.array(found.value, np.float64)

    columns = (
        frame_column("frame", "Frame", found.row),
        time_column("time", "Since start", found.ts_ns, names),
        table.Column("value", spec.name, value, text, order, right=True),
    )

    def condition(at: int) -> str:
        # The value as the dissector has it: a fraction is written with all its digits.
        return f"{spec.name} == {number(spec, found.value[at])}"

    return Table(columns, found.row, ("frame", False), condition)
