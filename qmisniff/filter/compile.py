# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter's text -> a Filter, ready to be asked about frames and about whole stores."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.evaluate import Decoded, passes
from qmisniff.filter.parser import parse
from qmisniff.filter.resolve import Test, fields, resolve
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store

FEW = 2000  # rows: to decode so many takes as long as to import numpy
_PART = 256  # rows decoded between two looks at whether to go on


def compile_filter(text: str, registry: Registry) -> Filter:
    """The filter that a text is. Raises FilterError where it is none."""
    return Filter(text, resolve(parse(text), text, Catalogue(registry)))


class Found(NamedTuple):
    """Rows that pass, in order, among all rows below `stop` that were not asked about before."""

    rows: list[int]
    stop: int


class Filter:
    """A display filter.

    `uses` are the names of the fields it looks at.
    """

    def __init__(self, text: str, test: Test) -> None:
        self.text = text
        self.test = test
        self.uses = frozenset(field.name for field in fields(test))

    def matches(self, frame: Frame, context: Context, dissector: Dissector) -> bool:
        """Does one frame pass?"""
        return passes(self.test, Decoded(frame, context, dissector))

    def rows(
        self,
        store: Store,
        dissector: Dissector,
        start: int = 0,
        stop: int | None = None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> Iterator[Found]:
        """The rows of a store that pass, from `start` up to `stop` (all there are), some at a time; ends early once
        `cancel` says so.

        Many rows are asked about by columns, and only those that leave a doubt are decoded.
        """
        stop = len(store) if stop is None else min(stop, len(store))
        if stop - start < FEW:
            yield from self._decoded(store, dissector, range(start, stop), stop, cancel)
            return
        from qmisniff.filter.columns import ColumnTests

        tests = ColumnTests(store, dissector.registry)
        for columns in store.columns(start, stop):
            if cancel():
                return
            verdict = tests.verdict(self.test, columns)
            end = columns.first + len(columns)
            sure = (verdict.yes.nonzero()[0] + columns.first).tolist()
            doubtful = ((~(verdict.yes | verdict.no)).nonzero()[0] + columns.first).tolist()
            if not doubtful:
                yield Found(sure, end)
                continue
            at = 0
            for part in self._decoded(store, dissector, doubtful, end, cancel):
                # What is sure comes along in its place, so that rows stay in order.
                upto = bisect_left(sure, part.stop, at)
                yield Found(sorted(sure[at:upto] + part.rows), part.stop)
                at = upto

    def _decoded(
        self, store: Store, dissector: Dissector, rows: Sequence[int], stop: int, cancel: Callable[[], bool]
    ) -> Iterator[Found]:
        """Of these rows those that pass, each frame decoded; the last part reaches up to `stop`."""
        for at in range(0, len(rows), _PART):
            if cancel():
                return
            part = rows[at : at + _PART]
            found = [row for row in part if self.matches(store.frame(row), store.context(row), dissector)]
            yield Found(found, stop if at + _PART >= len(rows) else part[-1] + 1)
