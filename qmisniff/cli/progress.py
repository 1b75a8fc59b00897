# SPDX-License-Identifier: GPL-2.0-or-later
"""How far long work is, drawn over itself on standard error: for people who wait, and only for them.

Nothing is drawn where standard error is no terminal, nor where standard output is one: there the output itself shows
that it goes on.
"""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import TextIO

DELAY_S = 1.0  # what is over before that needs no bar
REDRAW_S = 0.1
_BAR = 24  # characters
_CLEAR = "\r\x1b[K"


class Progress:
    """Use as a context: at its end the line is cleared, whatever ended it."""

    def __init__(self, stderr: TextIO, stdout: TextIO) -> None:
        self._stderr = stderr
        self._shown = stderr.isatty() and not stdout.isatty()
        self._next = monotonic() + DELAY_S
        self._drawn = False
        self._what = ""
        self._since = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._stderr.write(_CLEAR)
            self._stderr.flush()

    def at(self, what: str, done: int, total: int = 0) -> None:
        """So many packets of `total` (0: nobody knows) are done; `what` is being done to them. Cheap: call it often."""
        if not self._shown:
            return
        now = monotonic()
        if what != self._what:
            self._what, self._since = what, now
        if now < self._next:
            return
        self._next = now + REDRAW_S
        self._drawn = True
        import shutil

        width = shutil.get_terminal_size().columns
        self._stderr.write(_CLEAR + _text(what, done, total, now - self._since)[: width - 1])
        self._stderr.flush()


def _text(what: str, done: int, total: int, seconds: float) -> str:
    if not total:
        return f"{what} {done:,} packets"
    part = min(done / total, 1)
    filled = int(part * _BAR)
    left = f", {seconds / part - seconds:.0f} s left" if part > 0 and seconds >= DELAY_S else ""
    return f"{what} [{'#' * filled}{'.' * (_BAR - filled)}] {part:4.0%} of {total:,} packets{left}"
