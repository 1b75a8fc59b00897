# SPDX-License-Identifier: GPL-2.0-or-later
"""One of several, in a question with a line to type into."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import RadioButton, RadioSet


class Choice(RadioButton):
    """Textual's button of a set, hollow where it is not the one chosen: Textual tells them apart by colour alone."""

    @property
    def _button(self) -> Content:
        self.BUTTON_INNER = "●" if self.value else "○"
        return super()._button


class Choices(RadioSet, inherit_bindings=False):
    """Arrow keys choose at once, and Enter answers the question as it does in the line that is typed into."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("down,right", "choose(1)", "Next", show=False),
        Binding("up,left", "choose(-1)", "Before", show=False),
        Binding("space", "toggle_button", "Choose", show=False),
        Binding("enter", "submit", "Answer", show=False),
    ]

    class Submitted(Message):
        """The question is answered."""

    def action_choose(self, step: int) -> None:
        """Choose the next, the one before where negative."""
        buttons = list(self.query(Choice))
        buttons[(self.pressed_index + step) % len(buttons)].value = True

    def action_submit(self) -> None:
        """Answer the question."""
        self.post_message(self.Submitted())
