# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dialog says of what was typed into it."""

from __future__ import annotations

from textual.widgets import Label

from qmisniff.printable import plain


class Said(Label):
    """A text in the colour of errors; takes no room while there is none."""

    DEFAULT_CSS = """
    Said { color: $text-error; height: auto; width: 1fr; display: none; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def say(self, text: str) -> None:
        """Show this instead of what was said before."""
        self.update("\n".join(plain(line) for line in text.split("\n")))
        self.display = bool(text)
