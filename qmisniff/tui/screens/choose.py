# SPDX-License-Identifier: GPL-2.0-or-later
"""A short list to choose one of, by arrow keys, by mouse, or by the letter in front."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, digits

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from qmisniff.printable import plain
from qmisniff.tui import commands

_LETTERS = digits[1:] + "".join(letter for letter in ascii_lowercase if letter not in "jkq")


class ChooseScreen(ModalScreen[int | None], inherit_bindings=False):
    """The result is the number of the choice, counted from 0; None when nothing was chosen."""

    HELP_TITLE = "Choosing"
    OFFERS = commands.CHOOSE
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    ChooseScreen {
        align: center middle;
        OptionList {
            width: auto; min-width: 30; max-width: 100%; height: auto; max-height: 100%;
            border: round $primary; padding: 0 1; background: $background;
        }
    }
    """

    def __init__(self, title: str, choices: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        options = OptionList()
        options.border_title = plain(self._title).replace("[", "\\[")
        options.styles.min_width = min(max(30, cell_len(plain(self._title)) + 6), self.app.size.width)  # with its frame
        for letter, choice in zip(_LETTERS, self._choices, strict=False):
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(f"{letter} ", "bold")
            line.append(plain(choice))
            options.add_option(Option(line))
        for choice in self._choices[len(_LETTERS) :]:
            options.add_option(Option(Text(f"  {plain(choice)}", no_wrap=True, overflow="ellipsis")))
        options.highlighted = 0
        yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)

    def on_key(self, event: events.Key) -> None:
        at = _LETTERS.find(event.character) if event.character and event.is_printable else -1
        if 0 <= at < len(self._choices):
            event.stop()
            self.dismiss(at)

    def action_cancel(self) -> None:
        """Choose nothing."""
        self.dismiss(None)

    def action_move(self, step: int) -> None:
        """Go up or down."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
