# SPDX-License-Identifier: GPL-2.0-or-later
"""Where to save a capture, and whether to leave without."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from qmisniff.errors import CaptureFileError
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.choice import Choice, Choices
from qmisniff.tui.said import Said
from qmisniff.tui.session import Session


class SaveScreen(ModalScreen[bool], inherit_bindings=False):
    """Asks for a file and saves to it. The result is whether the program may leave.

    With `leaving` the capture is stopped first, and can be given up.
    """

    HELP_TITLE = "Here"
    OFFERS = commands.SAVE
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    SaveScreen {
        align: center middle;
        #question {
            width: 72; max-width: 100%; height: auto; max-height: 100%; overflow-y: auto;
            border: round $primary; padding: 0 1;
        }
        Horizontal { height: auto; margin-top: 1; }
        RadioSet { border: none; padding: 0; width: 1fr; height: auto; background: $background; }
        Button { margin-right: 2; }
    }
    """

    def __init__(self, session: Session, leaving: bool) -> None:
        super().__init__()
        self._session = session
        self._leaving = leaving
        self._replace: Path | None = None  # the existing file the user was told of

    def compose(self) -> ComposeResult:
        with Vertical(id="question") as question:
            question.border_title = "Save the capture"
            if self._leaving:
                yield Label(_what_is_unsaved(self._session), markup=False)
            yield Input(_suggestion(self._session), select_on_focus=False, compact=True)
            if not self._leaving:
                marked = len(self._session.notes.marked)
                with Choices(compact=True):
                    yield Choice(f"all {len(self._session.store):,} packets", True)
                    yield Choice(f"the {len(self._session.sieve.rows):,} shown")
                    yield Choice(f"the {marked:,} marked")
                yield Label("Written as the name ends: .txt .json .ndjson .csv, else a capture.", markup=False)
            yield Said()
            with Horizontal():
                yield Button("Save", id="save", variant="primary", compact=True)
                if self._leaving:
                    yield Button("Leave without saving (^n)", id="give-up", variant="warning", compact=True)
                yield Button("Cancel (Esc)", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        self._try()

    def on_choices_submitted(self) -> None:
        self._try()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "save":
            self._try()
        elif event.button.id == "give-up":
            self.action_give_up()
        else:
            self.action_cancel()

    def action_cancel(self) -> None:
        """Go back."""
        self.dismiss(False)

    def action_give_up(self) -> None:
        """Leave without saving."""
        if self._leaving:
            self._session.give_up()
            self.dismiss(True)

    def _say(self, text: str) -> None:
        if self.is_current:  # it may have been closed while the file was written
            self.query_one(Said).say(text)

    def _try(self) -> None:
        name = self.query_one(Input).value.strip()
        if not name:
            self._say("Name a file.")
            return
        try:
            path = Path(name).expanduser()
            exists = path.exists()
        except (OSError, RuntimeError, ValueError) as error:  # too long a name, ~ of nobody, a NUL
            self._say(str(error))
            return
        if exists and path != self._replace:
            self._replace = path
            self._say(f"{path} exists: save again to replace it.")
            return
        rows = self._rows()
        if rows is not None and not len(rows):
            self._say("There are no such packets.")
            return
        self._say("Saving ...")
        self._write(path, rows)

    def _rows(self) -> Sequence[int] | None:
        """The rows to save; None for all of them."""
        match -1 if self._leaving else self.query_one(Choices).pressed_index:
            case 1:
                return self._session.sieve.rows
            case 2:
                return sorted(self._session.notes.marked)
        return None

    @work(thread=True, exclusive=True)
    def _write(self, path: Path, rows: Sequence[int] | None) -> None:
        if self._leaving:
            self._session.feed.stop()
        try:
            count = self._session.save(path, rows)
        except CaptureFileError as error:
            self.app.call_from_thread(self._say, str(error))
            return
        self.app.call_from_thread(self._done, path, count)

    def _done(self, path: Path, count: int) -> None:
        self.app.notify(plain(f"Saved {count:,} packets to {path}"), markup=False)
        if self.is_current:
            self.dismiss(self._leaving)


def _what_is_unsaved(session: Session) -> str:
    what = [f"{session.unsaved:,} packets"] if session.unsaved else []
    what += ["comments"] if session.comments_unsaved else []
    return f"{' and '.join(what)} are not saved."


def _suggestion(session: Session) -> str:
    """A name made of the time of the first packet."""
    if session.path is not None:
        return str(session.path.with_name(f"{session.path.name.split('.')[0]}-saved.pcapng"))
    if not len(session.store):
        return "qmisniff.pcapng"
    try:
        started = datetime.fromtimestamp(session.store.frame(0).ts_ns // 1_000_000_000)
    except (OverflowError, ValueError, OSError):
        return "qmisniff.pcapng"
    return f"qmisniff-{started:%Y%m%d-%H%M%S}.pcapng"
