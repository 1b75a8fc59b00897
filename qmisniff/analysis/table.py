# SPDX-License-Identifier: GPL-2.0-or-later
"""An answer as a table: what a cell says and how rows sort is settled here once, for the screen, text, JSON and CSV.

Cells are made when they are looked at: a table of a million rows costs its columns.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from qmisniff.printable import plain
from qmisniff.protocol.arrays import I8, Mask, Numbers

_MEASURED = 1000  # rows that say how wide columns of text are

Cell = int | float | str | bool | None


class Column(NamedTuple):
    """`value` of a row is what JSON has, None where there is none; `text` what people see; `order` are numbers that
    sort as the rows shall. A column without a title is for machines only."""

    name: str
    title: str
    value: Callable[[int], Cell]
    text: Callable[[int], str]
    order: Callable[[], Numbers]
    right: bool = False


class Table(NamedTuple):
    """`rows` are the store's rows that those of the table lead to, `condition` is a display filter for a row."""

    columns: tuple[Column, ...]
    rows: I8
    sort: tuple[str, bool]  # by which column at first, and whether downwards
    condition: Callable[[int], str]

    @property
    def length(self) -> int:
        """Rows of the table."""
        return len(self.rows)

    def column(self, name: str) -> Column:
        """The column of this name; KeyError where there is none."""
        return {column.name: column for column in self.columns}[name]

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns for people."""
        return tuple(column for column in self.columns if column.title)

    def widths(self, order: Iterable[int]) -> list[int]:
        """How wide the columns for people are in the first of these rows."""
        first = list(islice(order, _MEASURED))
        return [max(len(column.title), *(len(plain(column.text(row))) for row in first), 0) for column in self.shown]


def sorted_rows(table: Table, name: str, down: bool) -> I8:
    """The rows of the table by a column; those that are equal stay in their order."""
    keys = table.column(name).order()
    # Upside down twice, so that equal ones do not change places.
    order = len(keys) - 1 - np.argsort(keys[::-1], kind="stable")[::-1] if down else np.argsort(keys, kind="stable")
    return order.astype(np.int64)


# ---- columns ----


def numbers(
    name: str,
    title: str,
    values: Numbers,
    missing: int | None = None,
    show: Callable[[int], str] = "{:,}".format,
) -> Column:
    """Whole numbers; one of them may stand for none."""

    def value(row: int) -> Cell:
        number = int(values[row])
        return None if number == missing else number

    def text(row: int) -> str:
        number = int(values[row])
        return "" if number == missing else show(number)

    return Column(name, title, value, text, lambda: values, right=True)


def seconds(name: str, title: str, ns: Numbers, known: Mask, missing: float) -> Column:
    """Lengths of time given in nanoseconds; those that are not known sort as if they were `missing`."""

    def value(row: int) -> Cell:
        return round(ns[row]) / 1e9 if known[row] else None

    def text(row: int) -> str:
        return duration(float(ns[row])) if known[row] else ""

    def order() -> Numbers:
        return np.where(known, ns, missing)

    return Column(name, title, value, text, order, right=True)


def labels(name: str, title: str, which: Numbers, texts: Sequence[str]) -> Column:
    """Texts of which rows have the same ones again and again: `which` is the number of each row's."""

    def order() -> Numbers:
        folded = [text.casefold() for text in texts]
        ranks = {text: rank for rank, text in enumerate(sorted(set(folded)))}
        return np.array([ranks[text] for text in folded], np.int64)[which]

    return Column(name, title, lambda row: texts[which[row]] or None, lambda row: texts[which[row]], order)


def named(name: str, title: str, keys: Numbers, text: Callable[[int], str]) -> Column:
    """Texts made of numbers, once for each different one."""
    different, which = np.unique(keys, return_inverse=True)
    return labels(name, title, which, [text(key) for key in different.tolist()])


def texts(name: str, title: str, values: Sequence[str]) -> Column:
    """A text of its own for each row."""
    return labels(name, title, np.arange(len(values)), values)


def duration(ns: float) -> str:
    """A length of time for people, in the unit that suits it."""
    if abs(ns) < 999.5e3:
        return f"{ns / 1e3:.1f} µs"
    return f"{ns / 1e6:.2f} ms" if abs(ns) < 999.5e6 else f"{ns / 1e9:.3f} s"


# ---- as output ----


def text_lines(table: Table, order: Sequence[int]) -> Iterator[str]:
    """A heading and a line a row, in columns as wide as the first rows need; longer texts push on what follows."""
    columns, widths = table.shown, table.widths(order)

    def line(cells: Iterable[str]) -> str:
        made = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        )
        return "  ".join(made).rstrip()

    yield line(column.title for column in columns)
    for row in order:
        yield line(plain(column.text(row)) for column in columns)


def record_lines(table: Table, order: Iterable[int]) -> Iterator[str]:
    """A line a column: for tables of one row."""
    width = max(len(column.title) for column in table.shown)
    for row in order:
        for column in table.shown:
            yield f"{column.title:<{width}}  {plain(column.text(row))}".rstrip()


def json_lines(table: Table, order: Iterable[int]) -> Iterator[str]:
    """One array with an object a row; what a row does not have is left out."""
    yield "["
    comma = ""
    for row in order:
        cells: dict[str, Any] = {column.name: column.value(row) for column in table.columns}
        yield comma + json.dumps({name: value for name, value in cells.items() if value is not None})
        comma = ","
    yield "]"


def csv_lines(table: Table, order: Iterable[int]) -> Iterator[str]:
    """A heading with the names and a line a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="")

    def line(cells: Sequence[Cell]) -> str:
        out.seek(0)
        out.truncate()
        writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in cells])
        return out.getvalue()

    yield line([column.name for column in table.columns])
    for row in order:
        yield line([column.value(row) for column in table.columns])
