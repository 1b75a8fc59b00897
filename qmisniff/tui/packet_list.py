# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet list. Only rows that are visible are dissected; a capture of any length costs the same to show."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.cache import LRUCache
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from qmisniff.dissect import Dissector, Summary
from qmisniff.printable import plain
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from qmisniff.tui import commands
from qmisniff.tui.columns import COLUMNS, Column, Packet, fit_columns
from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.row_rules import RowClass, look

_GUTTER = 2  # cells in front of a row: its mark, and a space


class PacketList(LinePane):
    """Rows of a store, one line each, under a line of column titles.

    `rows` are the store's rows shown, in order: all of them, or what a filter left. The cursor counts in these.
    """

    HELP_TITLE = "Packet list"
    OFFERS = commands.LIST
    BINDINGS = commands.bindings(OFFERS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "packet-list--head",
        "packet-list--cursor",
        *(kind.value for kind in RowClass),
    }
    DEFAULT_CSS = """
    PacketList {
        & > .packet-list--head { background: $panel; color: $foreground; text-style: bold; }
        &:focus > .packet-list--head { background: $primary; color: $text; }
        & > .packet-list--cursor { background: $secondary-muted; text-style: bold; }
        &:focus > .packet-list--cursor { background: $primary; color: $text; }
        & > .packet-list--error { color: $text-error; background: $error-muted; }
        & > .packet-list--warning { color: $text-warning; }
        & > .packet-list--note { color: $text-accent; }
        & > .packet-list--synthetic { color: $foreground 60%; text-style: italic; }
        & > .packet-list--control { color: $foreground 75%; }
        & > .packet-list--indication { color: $text-success; }
    }
    """

    head = 1
    follow: var[bool] = var(False)
    empty_text: var[str] = var("")

    class Selected(Message):
        """The cursor is on another packet; `row` is the store's."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    class FollowChanged(Message):
        """Following the newest packet began or ended."""

    def __init__(self, store: Store, dissector: Dissector, columns: Sequence[Column] = COLUMNS) -> None:
        super().__init__(id="packets")
        self._store = store
        self._dissector = dissector
        self._columns = columns
        self._fitted: list[tuple[Column, int]] = []
        self._cursor = 0
        self._announced = -1  # the store's row last posted as Selected
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

    def show_rows(self, rows: Sequence[int]) -> None:
        """Show these rows of the store; the cursor stays on its line, or goes to the newest while following."""
        self.rows = rows
        self._fit_columns()
        if rows:
            self._put_cursor(len(rows) - 1 if self.follow else min(self._cursor, len(rows) - 1))
        self.refresh()

    def move_to_line(self, line: int) -> None:
        """Put the cursor on a line. Up from where it was ends following, down to the last line begins it."""
        if not self.rows:
            return
        last = len(self.rows) - 1
        line = min(max(line, 0), last)
        self.follow = line == last
        self._put_cursor(line)

    def move_to_row(self, row: int) -> bool:
        """Put the cursor on a row of the store; False where the list does not show it."""
        line = bisect_left(self.rows, row)
        if line >= len(self.rows) or self.rows[line] != row:
            return False
        self.move_to_line(line)
        return True

    def _put_cursor(self, line: int) -> None:
        before, self._cursor = self._cursor, line
        self.show_line(line)
        self.refresh_lines_at(before, line)
        if self.rows[line] != self._announced:
            self._announced = self.rows[line]
            self.post_message(self.Selected(self._announced))

    def head_line(self, number: int) -> Strip:
        if not self.rows and self.empty_text:
            return self.styled([(f" {self.empty_text}", self.rich_style)])
        style = self.get_component_rich_style("packet-list--head")
        titles = " ".join(_cell(column.title, width, column.right) for column, width in self._fitted)
        return self.styled([(" " * _GUTTER + titles, style)]).adjust_cell_length(
            max(self.virtual_size.width, self.size.width), style
        )

    def line(self, number: int) -> Strip:
        row = self.rows[number]
        frame, context = self._store.frame(row), self._store.context(row)
        summary = self._summaries.get(context)
        if summary is None:
            summary = self._summaries[context] = self._dissector.summary(frame, context)
        packet = Packet(context.number, frame, summary, self._store.frame(0).ts_ns)
        mark, kind = look(frame, summary)
        style = self.get_component_rich_style(kind.value)
        if number == self._cursor:
            style += self.get_component_rich_style("packet-list--cursor", partial=True)
        *cells, (last, _) = self._fitted
        text = " ".join(_cell(column.text(packet), width, column.right) for column, width in cells)
        # The last column is as long as its text: what does not fit is slid into view.
        end = plain(last.text(packet))
        strip = self.styled([(f"{mark:<{_GUTTER}}{text}{' ' if text else ''}{end}", style)])
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
        if event.y >= self.head and self.scroll_offset.y + event.y - self.head < len(self.rows):
            self.move_to_line(self.scroll_offset.y + event.y - self.head)

    def action_toggle_follow(self) -> None:
        """Follow the newest packet, or stop doing so."""
        self.follow = not self.follow


def _cell(text: str, width: int, right: bool) -> str:
    """`text` made safe in exactly `width` cells; a cut is shown by an ellipsis."""
    text = plain(text)
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if right else text + " " * (width - length)
