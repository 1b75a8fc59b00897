# SPDX-License-Identifier: GPL-2.0-or-later
"""One line of text asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList

from qmisniff.filter.complete import Candidate
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.said import Said
from qmisniff.tui.suggestions import Suggestions, beginning

Offer = Callable[[str], Sequence[Candidate]]


class AskScreen(ModalScreen[str | None], inherit_bindings=False):
    """The result is the text, None when the user went back. `objection` says what is wrong with a text, "" nothing.

    `offer` finds what a text can become; it is called in a thread.
    """

    HELP_TITLE = "Asking"
    OFFERS = commands.ASK
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    AskScreen {
        align: center middle;
        #question { width: 64; max-width: 100%; height: auto; border: round $primary; padding: 0 1; }
        Suggestions { max-height: 35vh; }
    }
    """

    def __init__(
        self,
        title: str,
        value: str = "",
        objection: Callable[[str], str] = lambda text: "",
        offer: Offer | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._settled = value  # needs no completion
        self._objection = objection
        self._offer = offer
        self._candidates: Sequence[Candidate] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as question:
            complete = ", Tab completes" if self._offer is not None else ""
            question.border_title = f"{plain(self._title)} (Esc: back{complete})".replace("[", "\\[")
            yield Input(self._value, compact=True)
            yield Suggestions()
            yield Said()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._offer is not None and event.value != self._settled:
            look = partial(self._look, self._offer, event.value)
            self.run_worker(look, thread=True, exclusive=True, exit_on_error=False)

    def _look(self, offer: Offer, text: str) -> None:
        self.app.call_from_thread(self._show, text, offer(text) if text else ())

    def _show(self, text: str, candidates: Sequence[Candidate]) -> None:
        """Show what was found for a text, unless another has been typed by now."""
        if self.is_current and text == self.query_one(Input).value:
            self._candidates = candidates if [each.text for each in candidates] != [text] else ()
            self.query_one(Suggestions).offer(self._candidates)

    def _put(self, text: str) -> None:
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)

    def _take_chosen(self) -> bool:
        """Put the chosen word in the place of what was typed; False where none is chosen."""
        suggestions = self.query_one(Suggestions)
        if not suggestions.display or suggestions.highlighted is None:
            return False
        chosen = self._candidates[suggestions.highlighted].text
        if not chosen.endswith("/"):
            self._settled = chosen
        self._put(chosen)
        suggestions.offer(())
        return True

    def action_take(self) -> None:
        """Take the chosen word or the only one, or what all begin with; else choose the first."""
        suggestions, typed = self.query_one(Suggestions), self.query_one(Input).value
        if self._take_chosen() or not suggestions.display:
            return
        shared = beginning(self._candidates)
        if len(self._candidates) == 1 or (len(shared) > len(typed) and shared.lower().startswith(typed.lower())):
            self._put(shared)
        else:
            suggestions.action_cursor_down()

    def action_move(self, step: int) -> None:
        """Choose another word."""
        suggestions = self.query_one(Suggestions)
        if suggestions.display and step > 0:
            suggestions.action_cursor_down()
        elif suggestions.display:
            suggestions.action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.option_list.highlighted = event.option_index
        self._take_chosen()
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        """Take the chosen word; what is the whole of it is the answer."""
        if self._take_chosen() and self.query_one(Input).value.endswith("/"):
            return
        text = self.query_one(Input).value
        objection = self._objection(text)
        if objection:
            self.query_one(Said).say(objection)
        else:
            self.dismiss(text)

    def action_cancel(self) -> None:
        """Go back."""
        self.dismiss(None)
