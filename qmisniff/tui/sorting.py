# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows in the order of a column of the list: keys for a whole store at once, one stable sort."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qmisniff.dissect import Dissector, Summary
from qmisniff.dissect.names import held
from qmisniff.field import Value
from qmisniff.filter import compile_filter
from qmisniff.filter.columns import ColumnTests
from qmisniff.frame import Link
from qmisniff.protocol import qrtr
from qmisniff.protocol.arrays import I8, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns

Cancel = Callable[[], bool]
_PART = 256  # rows decoded between two looks at whether to go on


class Cancelled(Exception):
    """Nobody wants the order any more."""


def in_order(
    store: Store, dissector: Dissector, rows: Sequence[int], column: str, descending: bool, cancel: Cancel
) -> list[int]:
    """These rows by what a column of the list shows, numbers as numbers; equal ones in order of capture.

    A row without a value comes last either way. Raises Cancelled.
    """
    wanted = np.arange(rows.start, rows.stop) if isinstance(rows, range) else np.fromiter(rows, np.int64, len(rows))
    stop = int(wanted.max()) + 1 if len(wanted) else 0
    keys, present = _Keys(store, dissector, stop, cancel).of(column)
    keys, present = keys[wanted], present[wanted]
    if descending:  # ranks, turned round: negating would not do for unsigned numbers
        ranks = np.unique(keys, return_inverse=True)[1]
        keys = -ranks.astype(np.int64)
    order = np.argsort(keys, kind="stable")
    if not present.all():
        order = np.concatenate([order[present[order]], np.flatnonzero(~present)])
    found: list[int] = wanted[order].tolist()
    return found


class _Keys:
    """Sort keys of the rows up to `stop`, and which rows have one."""

    def __init__(self, store: Store, dissector: Dissector, stop: int, cancel: Cancel) -> None:
        self._store = store
        self._dissector = dissector
        self._stop = stop
        self._cancel = cancel

    def of(self, column: str) -> tuple[Numbers, Numbers]:
        everywhere = np.ones(self._stop, bool)
        match column:
            case "number":
                return np.arange(self._stop), everywhere
            case "time":
                return self._joined(lambda c: c.ts_ns), everywhere
            case "length":
                return self._joined(lambda c: c.orig_len), everywhere
            case "source":
                return self._joined(lambda c: _address(c.src_node, c.src_port)), everywhere
            case "destination":
                return self._joined(lambda c: _address(c.dst_node, c.dst_port)), everywhere
            case "process":
                return self._processes(), everywhere
            case "protocol":
                return self._summaries(lambda summary: summary.protocol), everywhere
            case "info":
                return self._summaries(lambda summary: summary.info.split(", txn ")[0]), everywhere
        return self._field(column)

    def _columns(self) -> Sequence[Columns]:
        found = []
        for columns in self._store.columns(0, self._stop):
            self._go_on()
            found.append(columns)
        return found

    def _go_on(self) -> None:
        if self._cancel():
            raise Cancelled

    def _joined(self, key: Callable[[Columns], Numbers]) -> Numbers:
        parts = []
        for columns in self._columns():
            self._go_on()
            parts.append(np.asarray(key(columns)))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _processes(self) -> Numbers:
        texts = [(comm, pid) for pid, comm in self._store.tasks]
        ranks = np.empty(len(texts), np.int64)
        ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
        return self._joined(lambda c: ranks[c.task])

    def _summaries(self, text: Callable[[Summary], str]) -> Numbers:
        """Ranks of a text of the summaries: plain messages of one kind share theirs, of the others each has its own."""
        groups = self._joined(_message)
        texts: dict[str, list[int]] = {}  # text -> groups
        kinds, first = np.unique(groups, return_index=True)
        for kind, row in zip(kinds.tolist(), first.tolist(), strict=True):
            if kind != _ALONE:
                texts.setdefault(text(self._summary(row)), []).append(kind)
        alone = np.flatnonzero(groups == _ALONE)
        fresh = np.int64(-1)
        for at, row in enumerate(alone.tolist()):
            if at % _PART == 0:
                self._go_on()
            shown = text(self._summary(row))
            known = texts.get(shown)
            if known is None:
                fresh -= 1
                known = texts[shown] = [int(fresh)]
            groups[row] = known[0]
        ranks = {group: rank for rank, shown in enumerate(sorted(texts)) for group in texts[shown]}
        kinds, inverse = np.unique(groups, return_inverse=True)
        return np.array([ranks[kind] for kind in kinds.tolist()], np.int64)[inverse] if len(kinds) else groups

    def _summary(self, row: int) -> Summary:
        return self._dissector.summary(self._store.frame(row), self._store.context(row))

    def _field(self, name: str) -> tuple[Numbers, Numbers]:
        """The first value of a field in each row."""
        name = qrtr.ENDS.get(name, (name,))[0]
        tests = ColumnTests(self._store, self._dissector.registry)
        made = [(columns.first, tests.column(name, columns)) for columns in self._columns()]
        if not all(column is not None for _, column in made):
            return self._ranked(self._decoded(name))
        keys = np.concatenate([column.values.astype(np.float64) for _, column in made if column is not None])
        present = np.concatenate([column.present for _, column in made if column is not None])
        known = np.concatenate([column.known for _, column in made if column is not None])
        for row in np.flatnonzero(~known).tolist():
            if row % _PART == 0:
                self._go_on()
            value = self._first(name, row)
            if isinstance(value, int | float):
                keys[row], present[row] = value, True
        return keys, present

    def _decoded(self, name: str) -> dict[int, Value]:
        """The first value of a field that no column has, by row."""
        found: dict[int, Value] = {}
        chosen = compile_filter(name, self._dissector.registry)
        for part in chosen.rows(self._store, self._dissector, 0, self._stop, self._cancel):
            self._go_on()
            values = ((row, self._first(name, row)) for row in part.rows)
            found.update((row, value) for row, value in values if value is not None)
        self._go_on()
        return found

    def _first(self, name: str, row: int) -> Value:
        found = held(self._dissector.values(self._store.frame(row), self._store.context(row)), name)
        return found[0] if found else None

    def _ranked(self, values: dict[int, Value]) -> tuple[Numbers, Numbers]:
        keys, present = np.zeros(self._stop, np.float64), np.zeros(self._stop, bool)
        numbers = all(isinstance(value, int | float) for value in values.values())
        shown = {row: value if numbers else _text(value) for row, value in values.items()}
        ranks = {value: rank for rank, value in enumerate(sorted(set(shown.values())))}  # type: ignore[type-var]
        rows = np.fromiter(shown, np.int64, len(shown))
        keys[rows] = [ranks[value] for value in shown.values()]
        present[rows] = True
        return keys, present


def _text(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


_ALONE = np.iinfo(np.int64).max  # stands for every row whose summary only the dissector knows


def _address(node: Numbers, port: Numbers) -> Numbers:
    found: Numbers = node.astype(np.uint64) << np.uint64(32) | port
    return found


def _message(columns: Columns) -> I8:
    """Rows with the same number have the same protocol, kind and message."""
    service = np.where((columns.service >= 0) & (columns.service < 1 << 20), columns.service, 1 << 20)
    found: I8 = service << 40 | columns.msgid.astype(np.int64) << 8 | columns.qmi_type
    usual = columns.plain & ((columns.link == Link.QMUX) | (columns.qrtr_type == qrtr.DATA))
    return np.where(usual, found, _ALONE)
