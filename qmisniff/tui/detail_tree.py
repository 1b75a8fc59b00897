# SPDX-License-Identifier: GPL-2.0-or-later
"""The decoded tree of one packet. What the user opened or closed stays so, by field name, from packet to packet."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import events
from textual.message import Message
from textual.strip import Strip

from qmisniff.dissect.text import field_text
from qmisniff.field import Field, Severity
from qmisniff.tui import commands
from qmisniff.tui.line_pane import LinePane

_WRAPPERS = {"frame", "tap", "qrtr", "qmux", "mbim"}


class _Node(NamedTuple):
    """A visible line: the field, how deep it is, and the line of its parent (-1 for a layer)."""

    field: Field
    depth: int
    parent: int


class DetailTree(LinePane):
    """The children of a frame's root field as a tree that opens and closes."""

    HELP_TITLE = "Details"
    OFFERS = commands.TREE
    BINDINGS = commands.bindings(OFFERS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "detail-tree--layer",
        "detail-tree--field",
        "detail-tree--warning",
        "detail-tree--error",
        "detail-tree--cursor",
    }
    DEFAULT_CSS = """
    DetailTree {
        & > .detail-tree--layer { text-style: bold; background: $surface; }
        & > .detail-tree--warning { color: $text-warning; }
        & > .detail-tree--error { color: $text-error; background: $error-muted; }
        & > .detail-tree--cursor { background: $secondary-muted; text-style: bold; }
        &:focus > .detail-tree--cursor { background: $primary; color: $text; }
    }
    """

    class Selected(Message):
        """The cursor is on another field; None where there is no field at all."""

        def __init__(self, field: Field | None) -> None:
            super().__init__()
            self.field = field

    def __init__(self) -> None:
        super().__init__(id="details")
        self._root: Field | None = None
        self._lines: list[_Node] = []
        self._cursor = 0
        self._announced: Field | None = None
        # What the user opened (True) or closed: by name for the packets to come, by field for this one, where elements
        # of an array have one name but are opened one by one. The rest is as `_opens` says.
        self._decided: dict[str, bool] = {}
        self._before: dict[str, bool] = {}
        self._here: dict[int, bool] = {}

    @property
    def line_count(self) -> int:
        return len(self._lines)

    @property
    def cursor_line(self) -> int:
        return self._cursor

    @property
    def field(self) -> Field | None:
        """The field under the cursor."""
        return self._lines[self._cursor].field if self._lines else None

    @property
    def names(self) -> list[str]:
        """The filter names of the visible lines, in order."""
        return [node.field.spec.name for node in self._lines]

    def show(self, root: Field | None) -> None:
        """Show another tree; the cursor goes to the field of the same name, or to the nearest one above it."""
        path = self._path(self._cursor)
        self._root = root
        self._before = dict(self._decided)
        self._here = {}
        self._flatten()
        self.fit()
        self._cursor = self._find(path)
        self.show_line(self._cursor)
        self.refresh()
        self._announce()

    def move_to_line(self, line: int) -> None:
        if not self._lines:
            return
        before, self._cursor = self._cursor, min(max(line, 0), len(self._lines) - 1)
        self.show_line(self._cursor)
        self.refresh_lines_at(before, self._cursor)
        self._announce()

    def _announce(self) -> None:
        # By field, not by line: opening what is above moves another field to the same line.
        if self.field is not self._announced or self.field is None:
            self._announced = self.field
            self.post_message(self.Selected(self.field))

    def select_at(self, offset: int) -> None:
        """Put the cursor on the innermost field that covers a byte, opening what hides it."""
        path = _covering(self._root, offset)
        if not path:
            return
        for field in path[:-1]:
            self._here[id(field)] = True
        self._flatten()
        self.fit(self.virtual_size.width)
        self.refresh()
        self.move_to_line(next(line for line, node in enumerate(self._lines) if node.field is path[-1]))

    def line(self, number: int) -> Strip:
        field, depth, parent = self._lines[number]
        name = "detail-tree--layer" if parent < 0 else "detail-tree--field"
        text = field_text(field)
        problem = field.problem
        if problem is not None:
            text += f" [{problem.severity.name.lower()}: {problem.text}]"
            if problem.severity >= Severity.WARN:
                name = "detail-tree--error" if problem.severity is Severity.ERROR else "detail-tree--warning"
        style = self.get_component_rich_style(name)
        if number == self._cursor:
            style += self.get_component_rich_style("detail-tree--cursor", partial=True)
        sign = ("▾ " if self._is_open(field) else "▸ ") if field.children else "  "
        strip = self.styled([(f"{'  ' * depth}{sign}{text}", style)])
        return strip.adjust_cell_length(max(strip.cell_length, self.size.width, self.virtual_size.width), style)

    def _flatten(self) -> None:
        self._lines = []
        if self._root is None:
            return
        stack = [(child, 0, -1) for child in reversed(self._root.children)]
        while stack:
            field, depth, parent = stack.pop()
            line = len(self._lines)
            self._lines.append(_Node(field, depth, parent))
            if field.children and self._is_open(field):
                stack.extend((child, depth + 1, line) for child in reversed(field.children))

    def _is_open(self, field: Field) -> bool:
        decided = self._here.get(id(field), self._before.get(_key(field)))
        return self._opens(field) if decided is None else decided

    def _opens(self, field: Field) -> bool:
        """Untouched, the message is open down to its values, and what is wrapped around it is closed."""
        return field.spec.name not in _WRAPPERS or (self._root is not None and field is self._root.children[-1])

    def _path(self, line: int) -> list[str]:
        """The keys from a layer down to the field of a line."""
        path: list[str] = []
        while 0 <= line < len(self._lines):
            path.append(_key(self._lines[line].field))
            line = self._lines[line].parent
        return path[::-1]

    def _find(self, path: list[str]) -> int:
        """The line that shares most of a path from its beginning; the message's where nothing is shared."""
        shared, best = 0, self._message_line()
        for line, node in enumerate(self._lines):
            if node.depth == shared and shared < len(path) and _key(node.field) == path[shared]:
                if shared and node.parent != best:
                    continue
                shared, best = shared + 1, line
        return best

    def _message_line(self) -> int:
        """The line of the layer that all others are there for: of those that wrap none, the one with most bytes."""
        layers = [(line, node.field) for line, node in enumerate(self._lines) if node.parent < 0]
        inner = [(line, field) for line, field in layers if field.spec.name not in _WRAPPERS]
        return max(inner or layers[-1:], key=lambda layer: layer[1].size, default=(0, None))[0]

    def _set_open(self, line: int, open_: bool) -> None:
        field = self._lines[line].field
        if field.children and self._is_open(field) != open_:
            self._decide(field, open_)
            self._changed(line)

    def _decide(self, field: Field, open_: bool) -> None:
        self._here[id(field)] = self._decided[_key(field)] = open_

    def _changed(self, line: int) -> None:
        self._flatten()
        self.fit(self.virtual_size.width)
        self.refresh()
        self.move_to_line(line)

    def on_click(self, event: events.Click) -> None:
        line = self.scroll_offset.y + event.y
        if line >= len(self._lines):
            return
        self.move_to_line(line)
        node = self._lines[line]
        sign = 2 * node.depth - self.scroll_offset.x
        if event.button == 1 and (event.chain == 2 or sign <= event.x < sign + 2):
            self._set_open(line, not self._is_open(node.field))

    def action_collapse(self) -> None:
        """Close the field, or go to its parent when it is closed already."""
        if not self._lines:
            return
        node = self._lines[self._cursor]
        if node.field.children and self._is_open(node.field):
            self._set_open(self._cursor, False)
        elif node.parent >= 0:
            self.move_to_line(node.parent)

    def action_expand(self) -> None:
        """Open the field, or go to its first child when it is open already."""
        field = self.field
        if field is None or not field.children:
            return
        if self._is_open(field):
            self.move_to_line(self._cursor + 1)
        else:
            self._set_open(self._cursor, True)

    def action_open_or_close(self) -> None:
        """Open a closed field, close an open one."""
        if self.field is not None:
            self._set_open(self._cursor, not self._is_open(self.field))

    def action_expand_all(self) -> None:
        """Open every field of this packet."""
        self._set_all(True)

    def action_collapse_all(self) -> None:
        """Close every field of this packet."""
        self._set_all(False)

    def _set_all(self, open_: bool) -> None:
        if self._root is None:
            return
        path = self._path(self._cursor)
        for field in self._root.walk():
            if field.children:
                self._decide(field, open_)
        self._flatten()
        self._changed(self._find(path))


def _key(field: Field) -> str:
    """What a field is called across packets: its filter name, or its label where it has none."""
    return field.spec.name or field.spec.label


def _covering(root: Field | None, offset: int) -> list[Field]:
    """The fields from a layer down to the innermost that covers byte `offset`; of several, the smallest."""
    path: list[Field] = []
    fields = root.children if root is not None else []
    while True:
        found = [field for field in fields if _covers(field, offset)]
        if not found:
            return path
        # A layer as large as the one within (a bare message and its frame) must not hide it.
        path.append(min(found, key=lambda field: (field.size, not any(_covers(c, offset) for c in field.children))))
        fields = path[-1].children


def _covers(field: Field, offset: int) -> bool:
    return field.offset <= offset < field.offset + field.size
