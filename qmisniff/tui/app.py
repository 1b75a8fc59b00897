# SPDX-License-Identifier: GPL-2.0-or-later
"""The program on the screen: which screen is on, and how it is left."""

from __future__ import annotations

import asyncio
import signal
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from qmisniff.tui.screens.help import HelpScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from qmisniff.tui.session import Session
from qmisniff.tui.terminal import when_gone


class QmisniffApp(App[None], inherit_bindings=False):
    """Shows one session. The feed starts when the screen stands; whoever made the session closes it."""

    TITLE = "qmisniff"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q,ctrl+c", "leave", "Quit", id="app.quit"),
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="Show these keys"),
        Binding("ctrl+s", "save", "Save", show=False, id="capture.save", tooltip="Save the capture"),
        Binding("ctrl+e", "stop_capture", "Stop", show=False, id="capture.stop", tooltip="Stop capturing"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def on_mount(self) -> None:
        self.push_screen(MainScreen(self._session))
        self._session.feed.start()
        # A closed terminal or a kill leaves in good order: the capture is taken out of the kernel, its file is kept.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.exit)
        when_gone(lambda: loop.call_soon_threadsafe(self.exit))

    def action_leave(self) -> None:
        """Leave, after asking what is to become of an unsaved capture."""
        if self._session.unsaved:
            self.push_screen(SaveScreen(self._session, leaving=True), lambda leave: self.exit() if leave else None)
        else:
            self.exit()

    def action_help(self) -> None:
        """Show the keys that work now."""
        self.push_screen(HelpScreen(self.screen.active_bindings))

    def action_save(self) -> None:
        """Save the packets received so far."""
        self.push_screen(SaveScreen(self._session, leaving=False))

    def action_stop_capture(self) -> None:
        """Stop capturing; the packets stay."""
        if self._session.feed.progress.running:
            self.run_worker(self._session.feed.stop, thread=True)
