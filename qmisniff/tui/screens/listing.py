# SPDX-License-Identifier: GPL-2.0-or-later
"""The list's columns and the order of its rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from qmisniff.errors import UsageError
from qmisniff.field import Kind
from qmisniff.filter.complete import Candidate, containing
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.coloring import Coloring, load_rules, save_rules
from qmisniff.tui.columns import Column, builtin, columns_of, field_column
from qmisniff.tui.packet_list import Order, PacketList
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.desk import Desk
from qmisniff.tui.times import DEFAULT, TIME_FORMATS

_REST = 5  # a live capture is sorted again after so many times the time that sorting took


class Listing(Desk):
    """The commands of columns."""

    OFFERS = commands.COLUMNS
    BINDINGS = commands.bindings(OFFERS)

    _sorting = False
    _sorted: tuple[Order, int, Sequence[int]] | None = None  # by what, out of how many rows that passed, the rows
    _sort_again = 0.0  # not before

    def on_mount(self) -> None:
        self._color()
        self.watch(self.app, "theme", self._color, init=False)

    def _color(self) -> None:
        """Read the colour rules, those for the theme where the user has none of his own."""
        rules, problems = load_rules(self.app.current_theme.dark)
        self.packets.coloring = Coloring(rules, self.session.dissector)
        for problem in (*problems, *self.packets.coloring.problems):
            self.notify(plain(problem), severity="warning", markup=False, timeout=10)

    def action_colors(self) -> None:
        """Show rows in colours, or without."""
        if self.packets.coloring is None:
            self._color()
        else:
            self.packets.coloring = None

    def action_write_colors(self) -> None:
        """Write the colour rules to a file, to be changed there."""
        try:
            name = save_rules(load_rules(self.app.current_theme.dark)[0])
        except UsageError as error:
            self.notify(plain(str(error)), severity="warning", markup=False)
        else:
            self.notify(plain(f"The colour rules are in {name}."), markup=False, timeout=10)

    def show_more(self, rows: Sequence[int]) -> None:
        order = self.packets.order
        if order is None:
            self.packets.show_rows(rows)
            return
        done = self._sorted
        if done is not None and done[0] == order and done[1] == len(rows):
            return
        if not self._sorting and (time.monotonic() >= self._sort_again or done is None or done[0] != order):
            self._sorting = True
            self.run_worker(partial(self._sort, order, rows), thread=True, exit_on_error=False)

    def show_anew(self) -> None:
        """The rows are others, or to be in another order."""
        self._sorted = None
        if self.packets.order is None:
            super().show_anew()
        self.show_more(self.session.sieve.rows)

    def _sort(self, order: Order, rows: Sequence[int]) -> None:
        """Sort, in a thread; what the user wants by then decides whether it is shown."""
        from qmisniff.tui.sorting import Cancelled, in_order  # numpy takes its time, and few captures are sorted

        began = time.monotonic()
        found: list[int] | None = None
        try:
            found = in_order(
                self.session.store, self.session.dissector, rows, order.column, order.descending,
                lambda: self.packets.order != order,
            )  # fmt: skip
        except Cancelled:
            pass
        finally:
            spent = time.monotonic() - began
            self.app.call_from_thread(self._use_order, order, len(rows), found, spent)

    def _use_order(self, order: Order, count: int, found: list[int] | None, spent: float) -> None:
        self._sorting = False
        self._sort_again = time.monotonic() + _REST * spent
        if found is not None and order == self.packets.order:
            self._sorted = (order, count, found)
            self.packets.replace_rows(found)
            self.notify(f"Sorted {count:,} packets in {1000 * spent:.0f} ms.", timeout=2)
        self.show_more(self.session.sieve.rows)

    def on_packet_list_sort_asked(self, event: PacketList.SortAsked) -> None:
        order = self.packets.order
        if order is None or order.column != event.column:
            self.packets.order = Order(event.column, False)
        else:
            self.packets.order = None if order.descending else Order(event.column, True)
        if self.packets.order is not None:
            self.packets.follow = False
        self.show_anew()

    def _use_columns(self, columns: list[Column]) -> None:
        self.packets.columns = columns
        self.state.columns = [[column.id, column.width, column.shown] for column in columns]

    def _at_cursor(self) -> tuple[list[Column], int] | None:
        """The columns, and which of them the cursor is on."""
        column = self.packets.column
        columns = list(self.packets.columns)
        return (columns, columns.index(column)) if column is not None else None

    def action_move_column(self, step: int) -> None:
        """Move the column by one place, to the left where negative."""
        found = self._at_cursor()
        if found is not None:
            columns, at = found
            column = columns.pop(at)
            columns.insert(min(max(at + step, 0), len(columns)), column)
            self._use_columns(columns)

    def action_widen_column(self, cells: int) -> None:
        """Make the column wider, narrower where negative."""
        found = self._at_cursor()
        if found is not None and found[0][found[1]].width:
            columns, at = found
            columns[at] = replace(columns[at], width=min(max(columns[at].width + cells, 3), 200))
            self._use_columns(columns)

    def action_hide_column(self) -> None:
        """Show the column no longer; one that shows a field is gone."""
        found = self._at_cursor()
        if found is None or sum(column.shown for column in found[0]) < 2:
            return
        columns, at = found
        if "." in columns[at].id:
            del columns[at]
        else:
            columns[at] = replace(columns[at], shown=False)
        self._use_columns(columns)

    def action_choose_columns(self) -> None:
        """Show a column, or hide it."""
        columns = list(self.packets.columns)

        def chosen(at: int | None) -> None:
            if at is None:
                return
            columns[at] = replace(columns[at], shown=not columns[at].shown)
            if any(column.shown for column in columns):
                self._use_columns(columns)

        names = [f"{'✓' if column.shown else ' '} {column.title}" for column in columns]
        self.app.push_screen(ChooseScreen("Show or hide a column", names), chosen)

    def action_reset_columns(self) -> None:
        """The columns as they were at first."""
        self._use_columns(columns_of((), self.catalogue, self._time_format))
        self.state.columns = []

    def action_add_column(self) -> None:
        """Show a field as a column: the one under the cursor of the details, else one that is asked for."""
        field = self.details.field
        if self.details.has_focus and field is not None and field.spec.name:
            self._add(field.spec.name)
        else:
            question = AskScreen("A column for the field", objection=self._no_field, offer=self._offered_fields)
            self.app.push_screen(question, self._add)

    def _offered_fields(self, part: str) -> list[Candidate]:
        return [each for each in containing(part.strip(), self.catalogue) if "." in each.text]

    def _no_field(self, name: str) -> str:
        spec = self.catalogue.find(name.strip())
        if spec is not None and "." in spec.name:
            return ""
        meant = self.catalogue.similar(name.strip())
        return f"There is no field of that name. Did you mean {meant}?" if meant else "There is no field of that name."

    def _add(self, name: str | None) -> None:
        spec = self.catalogue.find(name.strip()) if name else None
        if spec is None or (spec.kind is Kind.NONE and "." not in spec.name):
            return
        columns = [column for column in self.packets.columns if column.id != spec.name]
        columns.insert(max(len(columns) - 1, 0), field_column(spec))
        self._use_columns(columns)

    @property
    def _time_format(self) -> str:
        return self.state.time_format if self.state.time_format in TIME_FORMATS else DEFAULT

    def action_time_format(self) -> None:
        """Show times in the next format."""
        formats = list(TIME_FORMATS)
        self.state.time_format = formats[(formats.index(self._time_format) + 1) % len(formats)]
        time_column = builtin(self._time_format)["time"]
        self.packets.columns = [
            replace(time_column, shown=column.shown) if column.id == "time" else column
            for column in self.packets.columns
        ]
        self.notify(f"Times are {TIME_FORMATS[self._time_format].title}.", timeout=3)
