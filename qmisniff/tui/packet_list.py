# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet list. Only rows that are visible are dissected; a capture of any length costs the same to show."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.cache import LRUCache
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from qmisniff.dissect import Dissector, Summary
from qmisniff.field import Field
from qmisniff.printable import plain
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from qmisniff.tui import commands
from qmisniff.tui.annotations import Annotations
from qmisniff.tui.cells import cell
from qmisniff.tui.coloring import Coloring
from qmisniff.tui.columns import Column, Packet, fit_columns
from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.row_rules import mark

_GUTTER = 3  # cells in front of a row: its mark, what the user noted, and a space


class Order(NamedTuple):
    """What the rows are in the order of."""

    column: str
    descending: bool


class PacketList(LinePane):
    """Rows of a store, one line each, under a line of column titles.

    `rows` are the store's rows shown: all of them, what a filter left, or those in another order. The cursor counts in
    these; `column` is the column it is on.
    """

    HELP_TITLE = "Packet list"
    OFFERS = commands.LIST
    BINDINGS = commands.bindings(OFFERS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "packet-list--head",
        "packet-list--column",
        "packet-list--row",
        "packet-list--cursor",
    }
    DEFAULT_CSS = """
    PacketList {
        & > .packet-list--head { background: $panel; color: $foreground; text-style: bold; }
        & > .packet-list--column { background: $panel; color: $foreground; text-style: bold underline; }
        &:focus > .packet-list--head { background: $primary; color: $text; }
        &:focus > .packet-list--column { background: $primary; color: $text; text-style: bold underline; }
        & > .packet-list--cursor { background: $secondary-muted; text-style: bold; }
        &:focus > .packet-list--cursor { background: $primary; color: $text; }
    }
    """

    head = 1
    follow: var[bool] = var(False)
    empty_text: var[str] = var("")
    order: var[Order | None] = var(None)

    class Selected(Message):
        """The cursor is on another packet; `row` is the store's."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    class FollowChanged(Message):
        """Following the newest packet began or ended."""

    class SortAsked(Message):
        """The user wants the rows in the order of a column."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, store: Store, dissector: Dissector, columns: Sequence[Column], notes: Annotations) -> None:
        super().__init__(id="packets")
        self._store = store
        self._dissector = dissector
        self._columns = columns
        self._notes = notes
        self._coloring: Coloring | None = None
        self._fitted: list[tuple[Column, int]] = []
        self._column = "info"
        self._cursor = 0
        self._announced = -1  # the store's row last posted as Selected
        self._sought: int | None = None  # the row to be on once it is among those shown
        self.rows: Sequence[int] = range(0)
        # Keyed by the context too: what is known about a packet changes when its response arrives.
        self._summaries: LRUCache[Context, Summary] = LRUCache(4096)

    @property
    def line_count(self) -> int:
        return len(self.rows)

    @property
    def cursor_line(self) -> int:
        return self._cursor

    @property
    def selected(self) -> int | None:
        """The store's row under the cursor; None in an empty list."""
        return self.rows[self._cursor] if self._cursor < len(self.rows) else None

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, in order, those not shown too."""
        return self._columns

    @columns.setter
    def columns(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._fitted = []
        self._fit_columns()

    @property
    def column(self) -> Column | None:
        """The column that the cursor is on; None where none is shown yet."""
        shown = [column for column, _ in self._fitted]
        return next((column for column in shown if column.id == self._column), shown[-1] if shown else None)

    @property
    def coloring(self) -> Coloring | None:
        """The colours of rows; None for rows without."""
        return self._coloring

    @coloring.setter
    def coloring(self, coloring: Coloring | None) -> None:
        self._coloring = coloring
        self.refresh()

    def show_rows(self, rows: Sequence[int]) -> None:
        """Show more rows: those shown so far stay where they are. While following, the cursor goes to the newest."""
        self.rows = rows
        self._fit_columns()
        if rows:
            if self.follow:
                self._put_cursor(len(rows) - 1)
            elif self._sought is None or not self._seek(self._sought):
                self._put_cursor(min(self._cursor, len(rows) - 1))
        self.refresh()

    def replace_rows(self, rows: Sequence[int]) -> None:
        """Show other rows, or the same in another order; the cursor goes to the packet it is on, or near it."""
        if self._sought is None:
            self._sought = self.selected
        self._cursor = 0
        if not self.follow:
            self.scroll_to(y=0, animate=False, force=True)
        self.show_rows(rows)

    def _seek(self, row: int) -> bool:
        """Go to the row, or where it is not shown to the next, if that is known already; the search is over then."""
        line = self.line_of(row)
        if line is None and self.order is None:
            line = bisect_left(self.rows, row)
        if line is None or line >= len(self.rows):
            return False
        self._sought = None
        self._put_cursor(line)
        return True

    def move_to_line(self, line: int) -> None:
        """Put the cursor on a line. Up from where it was ends following, down to the last line begins it."""
        self._sought = None
        if not self.rows:
            return
        last = len(self.rows) - 1
        line = min(max(line, 0), last)
        self.follow = line == last
        self._put_cursor(line)

    def move_to_row(self, row: int) -> bool:
        """Put the cursor on a row of the store, in the middle of the pane where it was not visible; False where the
        list does not show it."""
        line = self.line_of(row)
        if line is None:
            return False
        top = self.scroll_offset.y
        self.move_to_line(line)
        if self.size.height and not top <= line < top + self.page:
            self.scroll_to(y=max(0, line - self.page // 2), animate=False, force=True)
        return True

    def line_of(self, row: int) -> int | None:
        """The line that shows a row of the store; None where none does."""
        if self.order is not None:
            return self.rows.index(row) if row in self.rows else None
        line = bisect_left(self.rows, row)
        return line if line < len(self.rows) and self.rows[line] == row else None

    def _put_cursor(self, line: int) -> None:
        before, self._cursor = self._cursor, line
        self.show_line(line)
        self.refresh_lines_at(before, line)
        row = self.rows[line]
        if row != self._announced:
            self._announced = row
            self.post_message(self.Selected(row))

    def packet(self, line: int) -> Packet:
        """What the cells of a line are made of."""
        row = self.rows[line]
        frame, context = self._store.frame(row), self._store.context(row)
        summary = self._summaries.get(context)
        if summary is None:
            summary = self._summaries[context] = self._dissector.summary(frame, context)
        if row in self._notes.ignored:
            summary = Summary("", "", "", "(ignored)", None)
        start = self._store.frame(self._notes.reference(row)).ts_ns
        before = self._store.frame(self.rows[line - 1]).ts_ns if line else frame.ts_ns

        def tree() -> Field:
            return self._dissector.tree(frame, context)

        return Packet(frame, context, summary, start, before, tree)

    def head_line(self, number: int) -> Strip:
        if not self.rows and self.empty_text:
            return self.styled([(f" {self.empty_text}", self.rich_style)])
        style = self.get_component_rich_style("packet-list--head")
        here = self.get_component_rich_style("packet-list--column")
        parts = [(" " * _GUTTER, style)]
        for column, width in self._fitted:
            title = column.title
            if self.order is not None and self.order.column == column.id:
                title += "▼" if self.order.descending else "▲"
            parts += [(cell(title, width, column.right), here if column is self.column else style), (" ", style)]
        return self.styled(parts[:-1]).adjust_cell_length(max(self.virtual_size.width, self.size.width), style)

    def line(self, number: int) -> Strip:
        packet = self.packet(number)
        style = self.get_component_rich_style("packet-list--row")
        if self._coloring is not None and packet.context.number - 1 not in self._notes.ignored:
            style += self._coloring.of(packet.frame, packet.context)[1]
        if number == self._cursor:
            style += self.get_component_rich_style("packet-list--cursor", partial=True)
        *columns, (last, _) = self._fitted
        noted = self._notes.mark_of(packet.context.number - 1)
        text = " ".join(cell(column.text(packet), width, column.right) for column, width in columns)
        # The last column is as long as its text: what does not fit is slid into view.
        strip = Strip(
            [Segment(f"{mark(*packet[:3])}{noted} {text}{' ' if text else ''}{plain(last.text(packet))}", style)]
        )
        return strip.adjust_cell_length(max(strip.cell_length, self.size.width, self.virtual_size.width), style)

    def _fit_columns(self) -> None:
        fitted = fit_columns(self._columns, self.size.width - _GUTTER, len(self._store))
        if fitted == self._fitted:
            self.fit(self.virtual_size.width)
        else:
            self._fitted = fitted
            self.fit()
            self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self._fit_columns()

    def watch_follow(self, follow: bool) -> None:
        if follow and self.rows:
            self._put_cursor(len(self.rows) - 1)
        self.post_message(self.FollowChanged())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        # The wheel and the scrollbar move the view without the cursor: looking back must not be undone by new packets.
        if new_value < old_value and not self.is_vertical_scroll_end:
            self.follow = False
        super().watch_scroll_y(old_value, new_value)

    def on_click(self, event: events.Click) -> None:
        at = event.x + self.scroll_offset.x - _GUTTER
        for column, width in self._fitted:
            if at <= width:
                self._column = column.id
                break
            at -= width + 1
        self.refresh()
        if event.y < self.head:
            if event.button == 1:
                self.post_message(self.SortAsked(self._column))
        elif self.scroll_offset.y + event.y - self.head < len(self.rows):
            self.move_to_line(self.scroll_offset.y + event.y - self.head)

    def action_column(self, step: int) -> None:
        """Go to the next column, to the one before where negative."""
        shown = [column.id for column, _ in self._fitted]
        if self.column is not None:
            at = shown.index(self.column.id) + step
            self._column = shown[min(max(at, 0), len(shown) - 1)]
            self.refresh_line(0)

    def action_sort(self) -> None:
        """Sort by the column that the cursor is on."""
        if self.column is not None:
            self.post_message(self.SortAsked(self.column.id))

    def action_toggle_follow(self) -> None:
        """Follow the newest packet, or stop doing so."""
        self.follow = not self.follow
