# SPDX-License-Identifier: GPL-2.0-or-later
"""One line of text asked for."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.said import Said


class AskScreen(ModalScreen[str | None], inherit_bindings=False):
    """The result is the text, None when the user went back. `objection` says what is wrong with a text, "" nothing."""

    HELP_TITLE = "Asking"
    OFFERS = commands.ASK
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    AskScreen {
        align: center middle;
        #question { width: 64; max-width: 100%; height: auto; border: round $primary; padding: 0 1; }
    }
    """

    def __init__(self, title: str, value: str = "", objection: Callable[[str], str] = lambda text: "") -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._objection = objection

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as question:
            question.border_title = f"{plain(self._title)} (Esc: back)".replace("[", "\\[")
            yield Input(self._value, compact=True)
            yield Said()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        objection = self._objection(event.value)
        if objection:
            self.query_one(Said).say(objection)
        else:
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        """Go back."""
        self.dismiss(None)
