# SPDX-License-Identifier: GPL-2.0-or-later
"""What the panes of the main screen have in common: lines made when they are shown, a cursor, the keys that move it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from qmisniff.printable import plain
from qmisniff.tui import commands


class LinePane(ScrollView, can_focus=True, inherit_bindings=False):
    """A scrolling pane of which only visible lines are ever made.

    `head` lines at the top do not scroll with the rest. Subclasses give `line_count`, `cursor_line`, `move_to_line` and
    `line`.
    """

    ALLOW_SELECT = False
    HELP_TITLE = "Lines"
    OFFERS: ClassVar[commands.Offers] = commands.LINES
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    LinePane {
        background: $background;
        color: $foreground;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
    }
    """

    head: ClassVar[int] = 0

    @property
    def line_count(self) -> int:
        """Lines there are, the head not counted."""
        raise NotImplementedError

    @property
    def cursor_line(self) -> int:
        """The line the cursor is on, counted from 0."""
        raise NotImplementedError

    def move_to_line(self, line: int) -> None:
        """Put the cursor on a line; a number outside means the nearest there is."""
        raise NotImplementedError

    def line(self, number: int) -> Strip:
        """Line `number` in full width."""
        raise NotImplementedError

    def head_line(self, number: int) -> Strip:
        """A line of the head in full width."""
        raise NotImplementedError

    @property
    def page(self) -> int:
        """How many lines are visible at once."""
        return max(1, self.size.height - self.head)

    def render_line(self, y: int) -> Strip:
        """Textual's call for line `y` of the visible region."""
        left, top = self.scroll_offset
        if y < self.head:
            strip = self.head_line(y)
        elif top + y - self.head < self.line_count:
            strip = self.line(top + y - self.head)
        else:
            return Strip.blank(self.size.width, self.rich_style)
        if strip.cell_length > self.virtual_size.width:
            self.call_after_refresh(self.fit, strip.cell_length)
        return strip.crop_extend(left, left + self.size.width, self.rich_style)

    def fit(self, width: int | None = None) -> None:
        """Tell Textual how much there is to scroll. Widths are only known of lines that were shown: they grow to
        `width` as wider ones turn up, and start anew without it."""
        wide = 0 if width is None else max(width, self.virtual_size.width)
        self.virtual_size = Size(wide, self.line_count + self.head)

    def refresh_lines_at(self, *lines: int) -> None:
        """Paint these lines again."""
        for line in lines:
            self.refresh_line(line + self.head)

    def show_line(self, line: int) -> None:
        """Scroll as little as needed to make a line visible."""
        if not self.size.height:
            return  # not on the screen yet, or hidden: its size will come with a Resize
        top = self.scroll_offset.y
        target = min(max(top, line - self.page + 1), line)
        if target != top:
            self.scroll_to(y=target, animate=False, force=True)

    def on_resize(self, event: events.Resize) -> None:
        self.fit(self.virtual_size.width)
        self.show_line(self.cursor_line)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Textual tells the bar where the view is only while the bar is shown."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def styled(self, parts: Iterable[tuple[str, Style]]) -> Strip:
        """A strip of (text, style) parts. Text is made safe here, and here only, for every pane."""
        return Strip([Segment(plain(text), style) for text, style in parts])

    def action_cursor_lines(self, count: int) -> None:
        """Move the cursor down by `count` lines, up where negative."""
        self.move_to_line(self.cursor_line + count)

    def action_cursor_pages(self, count: int) -> None:
        """Move the cursor down by `count` screens, up where negative."""
        self.move_to_line(self.cursor_line + count * self.page)

    def action_cursor_first(self) -> None:
        """Go to the first line."""
        self.move_to_line(0)

    def action_cursor_last(self) -> None:
        """Go to the last line."""
        self.move_to_line(self.line_count - 1)

    def action_slide(self, cells: int) -> None:
        """Scroll sideways by `cells`, to the right where positive."""
        self.scroll_to(x=max(0, self.scroll_offset.x + cells), animate=False, force=True)
