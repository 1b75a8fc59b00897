# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of the focused pane and those that work everywhere, as they are bound right now."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap

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

_WIDTH = 84  # as below
_KEYS = 27  # columns of the keys


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """`keys` are the active bindings of the screen below."""

    HELP_TITLE = "Help"
    OFFERS = commands.HELP
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        VerticalScroll {
            width: 84; max-width: 100%; height: auto; max-height: 100%;
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

    def action_scroll_pages(self, pages: int) -> None:
        """Move the text by what is seen of it."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * scroll.scrollable_content_region.height, animate=False)

    def action_scroll_to_end(self, last: bool) -> None:
        """Go to the end of the text, or to its beginning."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_to(y=scroll.max_scroll_y if last else 0, animate=False)

    def _line(self, keys: str, description: str) -> str:
        """A line of help, or several where the screen is narrow: each is as far to the right as the first."""
        lines = wrap(description, max(min(_WIDTH, self.app.size.width) - _KEYS - 6, 20))  # the frame, a scroll bar
        return f"{keys:<{_KEYS}}" + f"\n{'':<{_KEYS}}".join(lines) + "\n"

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
                text.append(self._line(f"  {'  '.join(keys)} ", description))
        text.append("Marks in front of a packet\n", "bold")
        for mark, meaning in MARKS.items():
            text.append(self._line(f"  {mark} ", meaning))
        for mark, meaning in NOTES.items():
            text.append(self._line(f"  {mark} ", meaning))
        text.append("Mouse\n", "bold")
        text.append(self._line("  click, wheel ", "select, scroll; drag a bar to resize panes"))
        text.append(self._line("  right click ", "choose what to do with what is there"))
        return text
