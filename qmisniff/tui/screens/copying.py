# SPDX-License-Identifier: GPL-2.0-or-later
"""What is selected into the terminal's clipboard, and the screen into a picture."""

from __future__ import annotations

import json
from collections.abc import Callable

from qmisniff.dissect.text import value_text
from qmisniff.export.json import field_object
from qmisniff.export.text import hex_lines, tree_lines
from qmisniff.field import Field
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.filtering import Filtering


class Copying(Filtering):
    """The commands that copy. In the details and the bytes it is the field that is copied, in the list the packet."""

    OFFERS = commands.COPY
    BINDINGS = commands.bindings(OFFERS)

    def action_copy_as(self) -> None:
        """Choose as what to copy what is under the cursor."""
        row = self.packets.selected
        if row is None:
            return
        kinds: dict[str, Callable[[], str]] = {
            "text": self._text,
            "value": self._value,
            "display filter": self.condition,
            "hex": lambda: self._selected_bytes().hex(),
            "hex dump": lambda: "\n".join(hex_lines(self._selected_bytes())),
            "C array": lambda: c_array(self._selected_bytes()),
            "JSON": lambda: json.dumps([field_object(field) for field in self._fields()], indent=2),
        }

        def chosen(at: int | None) -> None:
            if at is not None:
                name, make = list(kinds.items())[at]
                text = make()
                self.app.copy_to_clipboard(text)
                self.notify(plain(f"Copied as {name}: {text[:60]}"), markup=False, timeout=3)

        self.app.push_screen(ChooseScreen("Copy as", list(kinds)), chosen)

    @property
    def _field(self) -> Field | None:
        """The field meant, None where it is the packet."""
        return self.details.field if self.details.has_focus or self.bytes.has_focus else None

    def _fields(self) -> list[Field]:
        """The field, or the layers of the packet."""
        if self._field is not None:
            return [self._field]
        row = self.packets.selected
        assert row is not None
        store = self.session.store
        return self.session.dissector.tree(store.frame(row), store.context(row)).children

    def _text(self) -> str:
        if self._field is not None:
            return "\n".join(tree_lines(self._fields()))
        packet = self.packets.packet(self.packets.cursor_line)
        row = "  ".join(plain(column.text(packet)) for column in self.packets.columns if column.shown)
        return "\n".join([row, *tree_lines(self._fields(), indent="    ")])

    def _value(self) -> str:
        if self._field is not None:
            return value_text(self._field)
        column = self.packets.column
        return column.text(self.packets.packet(self.packets.cursor_line)) if column is not None else ""

    def _selected_bytes(self) -> bytes:
        field, data = self._field, self.bytes.data
        return data if field is None or not field.size else data[field.offset : field.offset + field.size]

    def action_screenshot(self) -> None:
        """Write what is on the screen to an SVG file."""
        try:
            name = self.app.save_screenshot()
        except OSError as error:
            self.notify(f"No picture: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(plain(f"The picture is in {name}."), markup=False)


def c_array(data: bytes) -> str:
    """The bytes as a definition in C."""
    lines = [f"    {', '.join(f'0x{byte:02x}' for byte in data[at : at + 12])}," for at in range(0, len(data), 12)]
    return "\n".join([f"static const unsigned char packet[{len(data)}] = {{", *lines, "};"])
