# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a filter, and where."""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.errors import UsageError
from qmisniff.printable import plain


class Span(NamedTuple):
    """Characters `start` to `end - 1` of a filter's text."""

    start: int
    end: int


class FilterError(UsageError):
    """A filter that does not parse, names what does not exist, or compares what cannot be compared.

    Printed as three lines: the message, the filter, `^~~~` under the characters that are wrong.
    """

    def __init__(self, message: str, text: str, span: Span, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.text = text
        self.span = span

    def __str__(self) -> str:
        before, wrong = plain(self.text[: self.span.start]), plain(self.text[self.span.start : self.span.end])
        marks = "^".ljust(max(len(wrong), 1), "~")
        return f"{plain(super().__str__())}\n  {plain(self.text)}\n  {' ' * len(before)}{marks}"
