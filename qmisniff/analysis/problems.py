# SPDX-License-Identifier: GPL-2.0-or-later
"""Expert information of many frames: whatever is wrong with them or remarkable, grouped by what is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.rows import Cancel, Rows, never, numbers
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.field import Field, Problem, Severity
from qmisniff.filter import compile_filter
from qmisniff.filter.quote import quoted
from qmisniff.protocol import qmi
from qmisniff.store import Store

_PART = 256  # frames decoded between two looks at whether to go on
_REMARKABLE = "expert.message or qmi.result !== 0"  # of a result that is no success only the tree remarks it


class Found(NamedTuple):
    """A problem of a frame, and a display filter for frames that have it."""

    row: int
    severity: Severity
    text: str
    condition: str


class Part(NamedTuple):
    """The problems of some more rows, in order; `done` rows have been looked at by now."""

    found: list[Found]
    done: int


@dataclass(slots=True)
class Group:
    """The same problem in many frames: their rows, in order, one for each time."""

    severity: Severity
    text: str
    condition: str
    rows: list[int] = field(default_factory=list)


class Problems:
    """What was found so far."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Severity, str], Group] = {}

    @property
    def groups(self) -> list[Group]:
        """In order of first appearance."""
        return list(self._groups.values())

    def add(self, part: Part) -> None:
        """Take in the problems of some more rows."""
        for row, severity, text, condition in part.found:
            self._groups.setdefault((severity, text), Group(severity, text, condition)).rows.append(row)


def problems(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Iterator[Part]:
    """Every problem that the trees of these rows show, some rows at a time; ends early once `cancel` says so.

    Of most frames the columns tell that nothing is wrong with them; the others are decoded.
    """
    wanted = numbers(rows)
    start, stop = (int(wanted[0]), int(wanted[-1]) + 1) if len(wanted) else (0, 0)
    for part in compile_filter(_REMARKABLE, dissector.registry).rows(store, dissector, start, stop, cancel):
        there = np.intersect1d(np.array(part.rows, np.int64), wanted, assume_unique=True).tolist()
        for at in range(0, len(there), _PART):
            if cancel():
                return
            some = there[at : at + _PART]
            end = part.stop if at + _PART >= len(there) else some[-1] + 1
            found = [found for row in some for found in _of(store, dissector, row)]
            yield Part(found, int(np.searchsorted(wanted, end)))
        if not there:
            yield Part([], int(np.searchsorted(wanted, part.stop)))


def _of(store: Store, dissector: Dissector, row: int) -> Iterator[Found]:
    for node in dissector.tree(store.frame(row), store.context(row)).walk():
        if node.problem is not None:
            yield Found(row, node.problem.severity, node.problem.text, _condition(node, node.problem))


def _condition(node: Field, problem: Problem) -> str:
    # That a request failed is what the tree says of its result, no expert message.
    error = next((child.value for child in node.children if child.spec.name == qmi.ERROR.name), None)
    if problem.severity is Severity.NOTE and isinstance(error, int):
        return f"qmi.result !== 0 and qmi.error == {error}"
    return f"expert.message == {quoted(problem.text)}"


def problems_table(groups: Sequence[Group]) -> Table:
    """The worst on top, and among them the most frequent."""
    severity = np.array([group.severity for group in groups], np.int64)
    count = np.array([len(group.rows) for group in groups], np.int64)
    first = np.array([group.rows[0] for group in groups], np.int64)
    worst = table.labels("severity", "Severity", severity, ("", *(each.name.lower() for each in Severity)))
    columns = (
        worst._replace(order=lambda: severity << 48 | count),
        table.numbers("count", "Count", count),
        table.numbers("first", "First", first + 1, show=str),
        table.numbers("last", "Last", np.array([group.rows[-1] + 1 for group in groups], np.int64), show=str),
        table.texts("text", "Problem", [group.text for group in groups]),
    )
    return Table(columns, first, ("severity", True), lambda at: groups[at].condition)
