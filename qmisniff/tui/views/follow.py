# SPDX-License-Identifier: GPL-2.0-or-later
"""One transaction or conversation, decoded as text."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from qmisniff.analysis.follow import same_conversation, same_transaction
from qmisniff.analysis.rows import Cancel, Cancelled
from qmisniff.dissect import Dissector
from qmisniff.export import Detail, open_format
from qmisniff.export.text import tree_lines
from qmisniff.printable import counted
from qmisniff.store import Store
from qmisniff.tui.commands import bindings
from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.view_context import ViewContext
from qmisniff.tui.views import commands
from qmisniff.tui.views.view_screen import ViewScreen

MOST = 2000  # packets shown as text; a file has all of them
_PART = 64  # packets decoded between two looks at whether to go on
_HEADERS = frozenset({"frame", "tap", "usb", "mbim", "qmux", "qrtr", "qrtr.trailer"})


class Followed(NamedTuple):
    """The packets that belong together, and the text of the first ones: `starts` is the line at which each begins."""

    rows: list[int]
    lines: list[str]
    starts: list[int]


class TextPane(LinePane):
    """Lines of text with a cursor; what is searched for stands out."""

    HELP_TITLE = "Text"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"text-pane--line", "text-pane--cursor", "text-pane--found"}
    DEFAULT_CSS = """
    TextPane {
        & > .text-pane--cursor { background: $secondary-muted; }
        &:focus > .text-pane--cursor { background: $primary-muted; text-style: bold; }
        & > .text-pane--found { background: $warning; color: $background; text-style: bold underline; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="text")
        self.lines: Sequence[str] = ()
        self.sought = ""
        self._cursor = 0

    @property
    def line_count(self) -> int:
        return len(self.lines)

    @property
    def cursor_line(self) -> int:
        return self._cursor

    def replace(self, lines: Sequence[str]) -> None:
        """Show other lines; more of the same leave the cursor where it is."""
        if lines[: self._cursor + 1] != self.lines[: self._cursor + 1]:
            self._cursor = 0
        self.lines = lines
        self.fit()
        self.show_line(self._cursor)
        self.refresh()

    def move_to_line(self, line: int) -> None:
        before, self._cursor = self._cursor, max(0, min(line, len(self.lines) - 1))
        self.show_line(self._cursor)
        self.refresh_lines_at(before, self._cursor)

    def line(self, number: int) -> Strip:
        name = "text-pane--cursor" if number == self._cursor else "text-pane--line"
        style, found = self.get_component_rich_style(name), self.get_component_rich_style("text-pane--found")
        strip = self.styled(_parts(self.lines[number], self.sought, style, found))
        return strip.adjust_cell_length(max(strip.cell_length, self.size.width, self.virtual_size.width), style)

    def seek(self, text: str, step: int) -> bool:
        """Go to the next line (the one before, where negative) that holds a text, upper and lower case the same, going
        round at the end; False where none does."""
        self.sought = text.casefold()
        count = len(self.lines)
        self.refresh()
        for distance in range(1, count + 1):
            line = (self._cursor + step * distance) % count
            if self.sought and self.sought in self.lines[line].casefold():
                self.move_to_line(line)
                return True
        return False


def _parts(text: str, sought: str, plain: Style, found: Style) -> Iterator[tuple[str, Style]]:
    """The text with every occurrence of what is sought by itself."""
    folded, at = text.casefold(), 0
    # Where folding changes the length, places in the two differ: then nothing stands out.
    while sought and len(folded) == len(text) and (hit := folded.find(sought, at)) >= 0:
        yield text[at:hit], plain
        yield text[hit : hit + len(sought)], found
        at = hit + len(sought)
    yield text[at:], plain


class FollowScreen(ViewScreen[Followed]):
    """The conversation of the selected packet, or its transaction: a line a packet and what it says, with headers all
    that `qmisniff read -V` prints."""

    HELP_TITLE = "Follow"
    OFFERS = commands.FOLLOW
    BINDINGS = bindings(OFFERS)
    title_text = "Follow"

    def __init__(self, context: ViewContext) -> None:
        super().__init__(context)
        self.pane = TextPane()
        self.row = context.selected()
        self.extent = "conversation"
        self.left_out = _HEADERS
        self.followed = Followed([], [], [])

    def body(self) -> Sequence[Widget]:
        return (self.pane,)

    def question(self) -> object:
        return self.extent, self.left_out

    def parts(self) -> list[tuple[str, str]]:
        count, known = len(self.followed.rows), len(self.followed.starts)
        packets = counted(count, "packet") if known >= count else f"the first {known:,} of {count:,} packets"
        return [("strong", self.extent), ("plain", packets if self.row is not None else "no packet is selected")]

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Followed:
        if self.row is None:
            return Followed([], [], [])
        if self.extent == "transaction":
            found = same_transaction(self.store, self.row).tolist()
        else:
            found = same_conversation(self.store, self.dissector, rows, self.row, cancel).tolist()
        left_out = self.left_out
        lines: list[str] = []
        starts: list[int] = []
        for count, text in enumerate(texts(self.store, self.dissector, found[:MOST], left_out)):
            if count % _PART == 0 and cancel():
                raise Cancelled
            starts.append(len(lines))
            lines += text
        return Followed(found, lines, starts)

    def show(self, answer: Followed) -> None:
        self.followed = answer
        self.pane.replace(answer.lines)

    def action_extent(self) -> None:
        """Follow the transaction instead of the conversation, or back."""
        self.extent = "transaction" if self.extent == "conversation" else "conversation"
        self.ask()

    def action_headers(self) -> None:
        """Show the headers around messages too, or leave them out."""
        self.left_out = _HEADERS - self.left_out
        self.ask()

    def action_find(self) -> None:
        """Ask for a text and go to it."""

        def find(text: str | None) -> None:
            if text is not None:
                self._seek(text, 1)

        self.app.push_screen(AskScreen("Find", self.pane.sought), find)

    def action_again(self, step: int) -> None:
        """Go to the next line with the text, to the one before where negative."""
        self._seek(self.pane.sought, step)

    def _seek(self, text: str, step: int) -> None:
        if not self.pane.seek(text, step) and text:
            self.said(f"{text!r} is not in the text")

    def action_open(self) -> None:
        """Go to the packet that the line is of."""
        if self.followed.starts:
            at = bisect_right(self.followed.starts, self.pane.cursor_line) - 1
            self.context.open_row(self.followed.rows[at])

    def action_write(self) -> None:
        """Write the text of all packets to a file."""
        if self.followed.rows:
            self.write_lines(f"{self.extent}.txt", partial(self._text, self.followed.rows, self.left_out))

    def _text(self, rows: list[int], left_out: frozenset[str], path: Path) -> Iterator[str]:
        for text in texts(self.store, self.dissector, rows, left_out):
            yield from text


def texts(store: Store, dissector: Dissector, rows: Sequence[int], left_out: frozenset[str]) -> Iterator[list[str]]:
    """The lines of each packet, without the layers of these names."""
    out = io.StringIO()
    form = open_format("text", dissector, out, Detail())
    for row in rows:
        form.rows(store, [row])
        layers = dissector.tree(store.frame(row), store.context(row)).children
        shown = [layer for layer in layers if layer.spec.name not in left_out]
        yield [*out.getvalue().splitlines(), *tree_lines(shown), ""]
        out.seek(0)
        out.truncate()
