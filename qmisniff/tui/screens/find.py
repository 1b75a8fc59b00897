# SPDX-License-Identifier: GPL-2.0-or-later
"""What to find, and where."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from qmisniff.definitions import Registry
from qmisniff.errors import UsageError
from qmisniff.tui import commands
from qmisniff.tui.choice import Choice, Choices
from qmisniff.tui.said import Said
from qmisniff.tui.search import By, Place, Search, Wanted


class FindScreen(ModalScreen[Search | None], inherit_bindings=False):
    """The result is the search; None when the user went back. `before` is what was searched for last."""

    HELP_TITLE = "Finding"
    OFFERS = commands.FIND
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    FindScreen {
        align: center middle;
        #question { width: 64; max-width: 100%; height: auto; max-height: 100%; border: round $primary; padding: 0 1; }
        Horizontal { height: auto; }
        RadioSet { border: none; width: 1fr; height: auto; padding: 0; background: $background; }
    }
    """

    def __init__(self, registry: Registry, before: Wanted | None) -> None:
        super().__init__()
        self._registry = registry
        self._before = before or Wanted("", By.TEXT, Place.LIST)

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as question:
            question.border_title = "Find (Enter: next, Esc: back)"
            yield Input(self._before.text, compact=True)
            with Horizontal():
                with Choices(id="by", compact=True):
                    for by in By:
                        yield Choice(by.value, by is self._before.by)
                with Choices(id="place", compact=True):
                    for place in Place:
                        yield Choice(f"in the {place.value}", place is self._before.place)
            yield Said()

    def on_input_submitted(self) -> None:
        self._search()

    def on_choices_submitted(self) -> None:
        self._search()

    def _search(self) -> None:
        by = list(By)[max(self.query_one("#by", Choices).pressed_index, 0)]
        place = list(Place)[max(self.query_one("#place", Choices).pressed_index, 0)]
        try:
            found = Search(Wanted(self.query_one(Input).value, by, place), self._registry)
        except UsageError as error:
            self.query_one(Said).say(str(error))
            return
        self.dismiss(found)

    def action_cancel(self) -> None:
        """Go back."""
        self.dismiss(None)
