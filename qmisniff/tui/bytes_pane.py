# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of one packet: offset, hex, ASCII; the bytes of the selected field stand out."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from qmisniff.tui import commands
from qmisniff.tui.line_pane import LinePane


class BytesPane(LinePane):
    """A hex dump with a cursor. Sixteen bytes a line, eight or four where the pane is narrow."""

    HELP_TITLE = "Bytes"
    OFFERS = commands.BYTES
    BINDINGS = commands.bindings(OFFERS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "bytes-pane--offset",
        "bytes-pane--byte",
        "bytes-pane--field",
        "bytes-pane--cursor",
    }
    DEFAULT_CSS = """
    BytesPane {
        & > .bytes-pane--offset { color: $foreground 60%; }
        & > .bytes-pane--field { background: $secondary; color: $text; text-style: bold; }
        & > .bytes-pane--cursor { background: $primary; color: $text; text-style: bold underline; }
    }
    """

    class Selected(Message):
        """The user went to a byte of the packet."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    def __init__(self) -> None:
        super().__init__(id="bytes")
        self._data = b""
        self._field = range(0)
        self._offset = 0

    @property
    def line_count(self) -> int:
        return -(-len(self._data) // self.width)

    @property
    def cursor_line(self) -> int:
        return self._offset // self.width

    @property
    def width(self) -> int:
        """Bytes a line."""
        digits = self._digits
        return next((width for width in (16, 8) if digits + 4 * width + width // 8 + 2 <= self.size.width), 4)

    @property
    def data(self) -> bytes:
        """The bytes shown."""
        return self._data

    @property
    def cursor_offset(self) -> int:
        """Where the cursor is."""
        return self._offset

    @property
    def highlighted(self) -> range:
        """Offsets of the bytes that stand out."""
        return self._field

    @property
    def _digits(self) -> int:
        return 4 if len(self._data) <= 0x10000 else 6

    def show(self, data: bytes) -> None:
        """Show another packet's bytes, none of them standing out."""
        self._data = data
        self._field = range(0)
        self._offset = min(self._offset, max(0, len(data) - 1))
        self.fit()
        self.refresh()

    def highlight(self, offset: int, size: int) -> None:
        """Make these bytes stand out. The cursor goes to the first, unless it is among them already."""
        self._field = range(max(0, offset), min(offset + size, len(self._data)))
        if self._field:
            if self._offset not in self._field:
                self._offset = self._field.start
            self.show_line((self._field.stop - 1) // self.width)
            self.show_line(self.cursor_line)
        self.refresh()

    def move_to_line(self, line: int) -> None:
        if line < 0:
            self.move_to_byte(self._offset % self.width)
        elif line >= self.line_count:
            last = len(self._data) - 1
            self.move_to_byte(min(last, (self.line_count - 1) * self.width + self._offset % self.width))
        else:
            self.move_to_byte(line * self.width + self._offset % self.width)

    def move_to_byte(self, offset: int) -> None:
        """Put the cursor on a byte; a number outside means the nearest there is."""
        if not self._data:
            return
        self._offset = min(max(offset, 0), len(self._data) - 1)
        self.show_line(self.cursor_line)
        self.refresh()
        self.post_message(self.Selected(self._offset))

    def line(self, number: int) -> Strip:
        start = number * self.width
        plain = self.get_component_rich_style("bytes-pane--byte")
        hexed: list[tuple[str, Style]] = []
        ascii_: list[tuple[str, Style]] = []
        for column in range(self.width):
            at = start + column
            style = self._style(at) if at < len(self._data) else plain
            if column:
                # The gap belongs to the field when it has bytes on both sides: a field is one block, not a row of dots.
                joined = at in self._field and at - 1 in self._field and at < len(self._data)
                gap = " " if column % 8 else "  "
                hexed.append((gap, self.get_component_rich_style("bytes-pane--field") if joined else plain))
            if at < len(self._data):
                byte = self._data[at]
                hexed.append((f"{byte:02x}", style))
                ascii_.append((chr(byte) if 32 <= byte < 127 else ".", style))
            else:
                hexed.append(("  ", plain))
        offset = (f"{start:0{self._digits}x}  ", self.get_component_rich_style("bytes-pane--offset"))
        return self.styled([offset, *hexed, ("  ", plain), *ascii_])

    def _style(self, at: int) -> Style:
        if at == self._offset and self.has_focus:
            return self.get_component_rich_style("bytes-pane--cursor")
        return self.get_component_rich_style("bytes-pane--field" if at in self._field else "bytes-pane--byte")

    def byte_at(self, x: int, y: int) -> int | None:
        """The offset of the byte shown at a cell of the pane, in hex or as a character; None beside them."""
        line, x = self.scroll_offset.y + y, x + self.scroll_offset.x - self._digits - 2
        hex_cells = 3 * self.width + (self.width - 1) // 8 - 1
        if 0 <= x < hex_cells:
            group, within = divmod(x, 25)
            column = group * 8 + min(within // 3, 7)
        else:
            column = x - hex_cells - 2
        offset = line * self.width + column
        return offset if 0 <= column < self.width and offset < len(self._data) else None

    def on_click(self, event: events.Click) -> None:
        offset = self.byte_at(event.x, event.y)
        if offset is not None:
            self.move_to_byte(offset)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_cursor_bytes(self, count: int) -> None:
        """Move the cursor on by `count` bytes, back where negative."""
        self.move_to_byte(self._offset + count)

    def action_cursor_first(self) -> None:
        """Go to the first byte."""
        self.move_to_byte(0)

    def action_cursor_last(self) -> None:
        """Go to the last byte."""
        self.move_to_byte(len(self._data) - 1)
