# SPDX-License-Identifier: GPL-2.0-or-later
"""A table of any length: only rows that are visible are made."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from qmisniff.analysis.table import Column, Table, sorted_rows
from qmisniff.protocol.arrays import I8
from qmisniff.tui.cells import cell
from qmisniff.tui.commands import bindings
from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.views import commands

_GAP = 2  # cells between two columns
_WIDEST = 48  # cells of a column that is not the last
_ALARMS = {  # what a cell says -> the component class that paints it
    "unanswered": "table-pane--bad",
    "not found": "table-pane--bad",
    "error": "table-pane--bad",
    "failed": "table-pane--warning",
    "warn": "table-pane--warning",
    "note": "table-pane--note",
}


class TablePane(LinePane):
    """Rows under a line of titles, sorted by one column; the cursor is on a row and on a column."""

    HELP_TITLE = "Table"
    OFFERS = commands.TABLE
    BINDINGS = bindings(OFFERS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table-pane--head",
        "table-pane--column",
        "table-pane--cursor",
        "table-pane--row",
        *_ALARMS.values(),
    }
    DEFAULT_CSS = """
    TablePane {
        & > .table-pane--head { background: $panel; color: $foreground; text-style: bold; }
        &:focus > .table-pane--head { background: $primary; color: $text; }
        & > .table-pane--column { background: $panel; color: $foreground; text-style: bold underline; }
        &:focus > .table-pane--column { background: $primary; color: $text; text-style: bold underline; }
        & > .table-pane--cursor { background: $secondary-muted; text-style: bold; }
        &:focus > .table-pane--cursor { background: $primary; color: $text; }
        & > .table-pane--bad { color: $text-error; }
        & > .table-pane--warning { color: $text-warning; }
        & > .table-pane--note { color: $text-accent; }
    }
    """

    head = 1

    class Selected(Message):
        """The cursor is on another row, or the row says something else."""

    def __init__(self) -> None:
        super().__init__(id="table")
        self.empty_text = ""
        self._table: Table | None = None
        self._sort = ("", False)
        self._order: I8 = np.empty(0, np.int64)
        self._widths: list[int] = []
        self._cursor = 0
        self._column = 0

    @property
    def line_count(self) -> int:
        return len(self._order)

    @property
    def cursor_line(self) -> int:
        return self._cursor

    @property
    def table(self) -> Table | None:
        """The table shown."""
        return self._table

    @property
    def order(self) -> I8:
        """The table's rows as they are sorted."""
        return self._order

    @property
    def sort(self) -> tuple[str, bool]:
        """By which column, and whether downwards."""
        return self._sort

    @property
    def selected(self) -> int | None:
        """The table's row under the cursor; None in an empty table."""
        return int(self._order[self._cursor]) if self._cursor < len(self._order) else None

    @property
    def column(self) -> Column | None:
        """The column under the cursor."""
        return self._table.shown[self._column] if self._table is not None else None

    def replace(self, table: Table) -> None:
        """Show another table from its top, sorted as it wants to be."""
        self._cursor = self._column = 0
        self._widths = []
        self._table = None
        self.scroll_to(x=0, y=0, animate=False, force=True)
        self._put(table, table.sort)

    def update_table(self, table: Table) -> None:
        """Show what is known by now: sorted as before, the cursor on the row that leads to the same packet."""
        if self._table is None:
            self.replace(table)
        else:
            self._put(table, self._sort)

    def _put(self, table: Table, sort: tuple[str, bool]) -> None:
        before = None if self._table is None or self.selected is None else int(self._table.rows[self.selected])
        top = self._cursor - self.scroll_offset.y
        self._table, self._sort, self._order = table, sort, sorted_rows(table, *sort)
        widths = table.widths(self._order)
        # Beside a title there is room for the arrow.
        titles = [len(column.title) + 1 for column in table.shown]
        self._widths = [max(each) for each in zip(titles, widths, self._widths or widths, strict=True)]
        self._widths[:-1] = [min(width, _WIDEST) for width in self._widths[:-1]]
        # The first row, unless the user chose another, is always the one on top.
        if before is not None and self._cursor:
            found = np.flatnonzero(table.rows[self._order] == before)
            self._cursor = int(found[0]) if len(found) else self._cursor
        self._cursor = max(0, min(self._cursor, len(self._order) - 1))
        self.fit()
        self.scroll_to(y=max(0, self._cursor - top), animate=False, force=True)
        self.show_line(self._cursor)
        self.refresh()
        self.post_message(self.Selected())

    def move_to_line(self, line: int) -> None:
        if not len(self._order):
            return
        before, self._cursor = self._cursor, min(max(line, 0), len(self._order) - 1)
        self.show_line(self._cursor)
        self.refresh_lines_at(before, self._cursor)
        if before != self._cursor:
            self.post_message(self.Selected())

    def head_line(self, number: int) -> Strip:
        style = self.get_component_rich_style("table-pane--head")
        if self._table is None or not len(self._order):
            return self.styled([(f" {self.empty_text}", self.rich_style)])
        here = self.get_component_rich_style("table-pane--column")
        parts: list[tuple[str, Style]] = []
        for at, (column, width) in enumerate(zip(self._table.shown, self._widths, strict=True)):
            title = column.title
            if column.name == self._sort[0]:
                title += "▼" if self._sort[1] else "▲"
            parts += [(cell(title, width, column.right), here if at == self._column else style), (" " * _GAP, style)]
        return self.styled(parts).adjust_cell_length(max(self.virtual_size.width, self.size.width), style)

    def line(self, number: int) -> Strip:
        assert self._table is not None
        row = int(self._order[number])
        plain = self.get_component_rich_style("table-pane--row")
        cursor = self.get_component_rich_style("table-pane--cursor", partial=True)
        parts: list[tuple[str, Style]] = []
        for column, width in zip(self._table.shown, self._widths, strict=True):
            text = column.text(row)
            style = self.get_component_rich_style(_ALARMS[text]) if text in _ALARMS else plain
            style = style + cursor if number == self._cursor else style
            parts += [(cell(text, width, column.right), style), (" " * _GAP, style)]
        strip = Strip([Segment(text, style) for text, style in parts])
        return strip.adjust_cell_length(max(strip.cell_length, self.size.width, self.virtual_size.width), parts[-1][1])

    def fit(self, width: int | None = None) -> None:
        super().fit(sum(self._widths) + _GAP * len(self._widths))

    def _starts(self) -> list[int]:
        """Where each column begins."""
        return [sum(self._widths[:at]) + _GAP * at for at in range(len(self._widths))]

    def on_click(self, event: events.Click) -> None:
        if self._table is None or not len(self._order):
            return
        starts = self._starts()
        self._column = max((at for at, x in enumerate(starts) if x <= event.x + self.scroll_offset.x), default=0)
        if event.y < self.head:
            self.action_sort()
        elif self.scroll_offset.y + event.y - self.head < len(self._order):
            self.move_to_line(self.scroll_offset.y + event.y - self.head)
        self.refresh()

    def action_column(self, step: int) -> None:
        """Go to the next column, to the one before where negative; what does not fit is slid into view."""
        if self._table is None:
            return
        self._column = min(max(self._column + step, 0), len(self._widths) - 1)
        start = self._starts()[self._column]
        left, stop = self.scroll_offset.x, start + self._widths[self._column]
        self.scroll_to(x=min(max(left, stop - self.size.width), start), animate=False, force=True)
        self.refresh()

    def action_sort(self) -> None:
        """Sort by the column under the cursor; the cursor stays on its row."""
        if self._table is not None and self.column is not None:
            name, down = self._sort
            row = self.selected
            self._sort = (self.column.name, not down if name == self.column.name else self.column.right)
            self._order = sorted_rows(self._table, *self._sort)
            if row is not None:
                self._cursor = int(np.flatnonzero(self._order == row)[0])
                self.show_line(self._cursor)
            self.refresh()
