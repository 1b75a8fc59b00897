# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of the focused pane and those that work everywhere, as they are bound right now."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from qmisniff.tui import commands
from qmisniff.tui.annotations import NOTES
from qmisniff.tui.commands import is_key
from qmisniff.tui.row_rules import MARKS


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """`keys` are the active bindings of the screen below."""

    HELP_TITLE = "Help"
    OFFERS = commands.HELP
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        VerticalScroll {
            width: 72; max-width: 100%; height: auto; max-height: 100%;
            border: round $primary; padding: 0 1;
        }
    }
    """

    def __init__(self, keys: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as scroll:
            scroll.border_title = "Keys (Esc closes)"
            yield Static(self._text())

    def action_scroll(self, lines: int) -> None:
        """Move the text."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _text(self) -> Text:
        groups: dict[str, dict[str, list[str]]] = {}
        for node, binding, _, _ in self._keys.values():
            if binding.id is None or not is_key(binding.key):
                continue
            group = groups.setdefault(getattr(node, "HELP_TITLE", "Here"), {})
            group.setdefault(binding.tooltip, []).append(self.app.get_key_display(binding))
        text = Text()
        for title, lines in groups.items():
            text.append(f"{title}\n", "bold")
            for description, keys in lines.items():
                text.append(f"  {'  '.join(keys):<24} {description}\n")
        text.append("Marks in front of a packet\n", "bold")
        for mark, meaning in MARKS.items():
            text.append(f"  {mark:<24} {meaning}\n")
        for mark, meaning in NOTES.items():
            text.append(f"  {mark:<24} {meaning}\n")
        text.append("Mouse\n", "bold")
        text.append("  click, wheel             select, scroll; drag a bar to resize panes\n")
        return text
