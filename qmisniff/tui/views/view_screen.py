# SPDX-License-Identifier: GPL-2.0-or-later
"""What all views have in common: an answer worked out in a thread, and again when more packets have come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import get_current_worker

from qmisniff.analysis.rows import Cancel, Cancelled
from qmisniff.errors import QmisniffError
from qmisniff.printable import plain
from qmisniff.tui.commands import bindings
from qmisniff.tui.file_names import file_names
from qmisniff.tui.footer import KeyLine
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.status import StatusLine
from qmisniff.tui.view_context import ViewContext
from qmisniff.tui.views import commands, open_view

Answer = TypeVar("Answer")

_LOOKS_PER_S = 4  # at whether there is something new
_SHARE = 4  # after an answer, this many times as long is spent on nothing
_LEAST_S = 1.0  # between two answers


class ViewScreen(Screen[None], Generic[Answer], inherit_bindings=False):
    """A view of the packets shown, or of all. Subclasses give `title_text`, `body`, `answer` and `show`.

    However fast packets come, an answer is asked for once a second at most, and takes a fifth of one processor.
    """

    HELP_TITLE = "View"
    OFFERS = (*commands.VIEW, *commands.OPEN)
    BINDINGS = bindings(OFFERS)
    DEFAULT_CSS = """
    ViewScreen {
        Footer { dock: none; }
        &.-tiny Footer { display: none; }
    }
    """
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-short"), (18, "-full")]  # noqa: RUF012 - Textual declares it so

    title_text = ""

    def __init__(self, context: ViewContext) -> None:
        super().__init__()
        self.context = context
        self.store = context.session.store
        self.dissector = context.session.dissector
        self.everything = not context.filter()
        self._status = StatusLine(id="view")
        self._asked: object = None  # what the last answer was about
        self.working = False
        self._rest_until = 0.0
        self._problem = ""

    # ---- for subclasses ----

    def body(self) -> Sequence[Widget]:
        """What stands between the status line and the footer, the first of which gets the focus."""
        raise NotImplementedError

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Answer:
        """Work it out, in a thread. Raises Cancelled or QmisniffError."""
        raise NotImplementedError

    def show(self, answer: Answer) -> None:
        """Put the answer on the screen."""
        raise NotImplementedError

    def question(self) -> object:
        """What is asked besides which packets."""
        return None

    def parts(self) -> list[tuple[str, str]]:
        """What else the status line says."""
        return []

    # ---- what all do ----

    def compose(self) -> ComposeResult:
        yield self._status
        yield from self.body()
        yield KeyLine()

    def on_mount(self) -> None:
        self.look()
        self.set_interval(1 / _LOOKS_PER_S, self.look)

    def rows(self) -> Sequence[int]:
        """The packets that count now."""
        return range(len(self.store)) if self.everything else self.context.shown()

    def look(self) -> None:
        """Ask again if there is something new, and the time has come."""
        if not self.working and time.monotonic() >= self._rest_until:
            rows = self.rows()
            if (asked := (self.everything, len(rows), self.question())) != self._asked:
                self._asked, self.working = asked, True
                self.run_worker(partial(self._work, rows), thread=True, exclusive=True, group="answer")
        self.tell()

    def ask(self) -> None:
        """Ask now: the user wants something else."""
        self._asked, self.working, self._rest_until = None, False, 0.0
        self.look()

    def tell(self) -> None:
        """Write the status line."""
        shown = self.context.filter()
        parts = [("strong", self.title_text), *self.parts()]
        if self._problem:
            parts.append(("problem", self._problem))
        if shown:
            parts.append(("plain", "all packets" if self.everything else f"filter: {shown}"))
        if self.working:
            parts.append(("plain", "working ..."))
        self._status.parts = tuple(parts)

    def _work(self, rows: Sequence[int]) -> None:
        worker, began = get_current_worker(), time.monotonic()
        try:
            answer = self.answer(rows, lambda: worker.is_cancelled)
        except Cancelled:
            return
        except QmisniffError as error:
            self.from_thread(partial(self._done, began, None, str(error).split("\n")[0]))
        except Exception as error:  # whatever went wrong with one view, the program and its packets stay
            self.from_thread(partial(self._done, began, None, f"{type(error).__name__}: {error}"))
        else:
            if not worker.is_cancelled:
                self.from_thread(partial(self._done, began, answer, ""))

    def from_thread(self, call: partial[None]) -> None:
        """Call something in the screen's thread, unless the view is closed."""
        if self.is_attached:
            self.app.call_from_thread(call)

    def _done(self, began: float, answer: Answer | None, problem: str) -> None:
        if not self.is_attached:
            return
        now = time.monotonic()
        self.working, self._problem = False, problem
        self._rest_until = now + max(_LEAST_S, _SHARE * (now - began))
        if answer is not None:
            self.show(answer)
        self.tell()

    def write_lines(self, suggestion: str, lines: Callable[[Path], Iterable[str]]) -> None:
        """Ask for the name of a new file and write lines to it, made in a thread from the file's path."""

        def objection(name: str) -> str:
            try:
                return "Name a file." if not name.strip() else f"{name} exists." if _path(name).exists() else ""
            except (OSError, RuntimeError, ValueError) as error:  # too long a name, ~ of nobody, a NUL
                return str(error)

        def write(name: str | None) -> None:
            if name is not None:
                self.run_worker(partial(self._write, _path(name), lines), thread=True, group="write")

        self.app.push_screen(AskScreen("Write to", suggestion, objection, file_names), write)

    def _write(self, path: Path, lines: Callable[[Path], Iterable[str]]) -> None:
        try:
            with path.open("x", encoding="utf-8") as stream:
                for line in lines(path):
                    stream.write(line + "\n")
        except OSError as error:
            self.app.call_from_thread(self.said, f"{path}: {error.strerror}", "error")
        else:
            self.app.call_from_thread(self.said, f"Written to {path}", "information")

    def said(self, text: str, severity: str = "information") -> None:
        """Tell the user something."""
        self.app.notify(plain(text), severity="error" if severity == "error" else "information", markup=False)

    def action_close(self) -> None:
        """Go back to the packets."""
        self.dismiss()

    def action_view(self, name: str) -> None:
        """Open another view in the place of this one."""
        self.app.switch_screen(open_view(name, self.context))

    def action_scope(self) -> None:
        """Count all packets, or those that are shown."""
        self.everything = not self.everything
        self.ask()


def _path(name: str) -> Path:
    return Path(name.strip()).expanduser()
