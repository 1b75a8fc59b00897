# SPDX-License-Identifier: GPL-2.0-or-later
"""Views that are tables: the same tables that `qmisniff stats` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.widget import Widget

from qmisniff.analysis.rows import Cancel
from qmisniff.analysis.table import Table, csv_lines, json_lines, text_lines
from qmisniff.analysis.tables import SUBJECTS
from qmisniff.printable import counted
from qmisniff.tui.commands import bindings
from qmisniff.tui.view_context import Combine, ViewContext
from qmisniff.tui.views import commands
from qmisniff.tui.views.follow import FollowScreen
from qmisniff.tui.views.table_pane import TablePane
from qmisniff.tui.views.view_screen import Answer, ViewScreen

_FORMATS = {".csv": csv_lines, ".json": json_lines}  # by the ending of the file's name; else text


class TablesScreen(ViewScreen[Answer]):
    """A view with a table. Subclasses give what ViewScreen wants, and `subjects`: names of the tables it can show."""

    OFFERS = commands.TABLES
    BINDINGS = bindings(OFFERS)

    subjects: ClassVar[tuple[str, ...]] = ()

    def __init__(self, context: ViewContext) -> None:
        super().__init__(context)
        self.pane = TablePane()
        self.pane.empty_text = "Counting ..."
        self.subject = self.subjects[0]
        self._fresh = True  # the next table is another one, not more of the same

    def body(self) -> Sequence[Widget]:
        return (self.pane,)

    def question(self) -> object:
        return self.subject

    def put(self, table: Table) -> None:
        """Show a table."""
        self.pane.empty_text = "Nothing of the kind in these packets"
        if self._fresh:
            self._fresh = False
            self.pane.replace(table)
        else:
            self.pane.update_table(table)

    def parts(self) -> list[tuple[str, str]]:
        found = [("strong" if each == self.subject else "plain", each) for each in self.subjects]
        table = self.pane.table
        return (found if len(found) > 1 else []) + (
            [("plain", counted(table.length, "row"))] if table is not None else []
        )

    def action_turn(self, step: int) -> None:
        """Show the next table, the one before where negative."""
        at = self.subjects.index(self.subject) + step
        self.subject = self.subjects[at % len(self.subjects)]
        self.anew()

    def anew(self) -> None:
        """Show another table."""
        self._fresh = True
        self.ask()

    def action_scope(self) -> None:
        self._fresh = True
        super().action_scope()

    def _selected(self) -> tuple[Table, int] | None:
        table, row = self.pane.table, self.pane.selected
        return None if table is None or row is None else (table, row)

    def action_open(self) -> None:
        """Go to the packet that the row leads to."""
        if (found := self._selected()) is not None:
            table, row = found
            self.context.open_row(int(table.rows[row]))

    def action_follow(self) -> None:
        """Follow the packet that the row leads to."""
        if (found := self._selected()) is not None:
            table, row = found
            leads_to = int(table.rows[row])
            self.app.push_screen(FollowScreen(replace(self.context, selected=lambda: leads_to)))

    def action_filter(self) -> None:
        """Show only the packets that the row is about."""
        self._apply(Combine.REPLACE)

    def action_filter_and(self) -> None:
        """Of the packets shown, show those that the row is about."""
        self._apply(Combine.AND)

    def _apply(self, combine: Combine) -> None:
        if (found := self._selected()) is not None:
            table, row = found
            self.context.apply_filter(table.condition(row), combine)

    def action_copy(self) -> None:
        """Copy the row's texts, separated by tabs."""
        if (found := self._selected()) is not None:
            table, row = found
            self.app.copy_to_clipboard("\t".join(column.text(row) for column in table.shown))
            self.said("Copied the row")

    def action_copy_filter(self) -> None:
        """Copy a display filter for the row."""
        if (found := self._selected()) is not None:
            table, row = found
            self.app.copy_to_clipboard(table.condition(row))
            self.said("Copied the filter")

    def action_write(self) -> None:
        """Write the table to a file."""
        if self.pane.table is not None:
            self.write_lines(f"{self.subject}.csv", partial(_lines, self.pane.table, self.pane.order.tolist()))


class TableScreen(TablesScreen[Table]):
    """A view that is nothing but tables."""

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Table:
        return SUBJECTS[self.subject](self.store, self.dissector, rows, cancel)

    def show(self, answer: Table) -> None:
        self.put(answer)


def _lines(table: Table, order: list[int], path: Path) -> Iterator[str]:
    return _FORMATS.get(path.suffix.lower(), text_lines)(table, order)
