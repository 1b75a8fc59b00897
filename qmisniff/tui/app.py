# SPDX-License-Identifier: GPL-2.0-or-later
"""The program on the screen: which screen is on, what it remembers, and how it is left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from functools import partial

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.commands import offered
from qmisniff.tui.keys import every_id, load_keys
from qmisniff.tui.screens.help import HelpScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from qmisniff.tui.session import Session
from qmisniff.tui.state import load_state
from qmisniff.tui.terminal import when_gone

THEMES = ("textual-dark", "textual-light")


class QmisniffApp(App[None], inherit_bindings=False):
    """Shows one session. The feed starts when the screen stands; whoever made the session closes it."""

    TITLE = "qmisniff"
    HELP_TITLE = "Program"
    OFFERS = commands.PROGRAM
    BINDINGS = commands.bindings(OFFERS)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.state = load_state()
        self._session = session
        self._clashes: set[str | None] = set()
        if self.state.theme in THEMES:
            self.theme = self.state.theme

    def on_mount(self) -> None:
        keys = load_keys(every_id())
        self.set_keymap(keys.by_id)
        self.push_screen(MainScreen(self._session, self.state))
        for problem in keys.problems:
            self.warn(problem)
        self._session.feed.start()
        # A closed terminal or a kill leaves in good order: the capture is taken out of the kernel, its file is kept.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.exit)
        when_gone(lambda: loop.call_soon_threadsafe(self.exit))

    def on_unmount(self) -> None:
        self.state.save()

    def warn(self, text: str) -> None:
        """Tell the user of something that went wrong, on whatever screen is on."""
        self.notify(plain(text), severity="warning", markup=False, timeout=10)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """Say once that a key of the key file was taken from another command."""
        for binding in clashed_bindings:
            if binding.id not in self._clashes:
                self._clashes.add(binding.id)
                self.warn(f"{binding.key!r} is no longer the key of {binding.id}: give it another in the key file")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette lists: every command that can be given on the screen."""
        for command, node in offered(screen):
            keys = self.keys_of(command.id, node)
            hint = f"{command.help} ({keys})" if keys else command.help
            yield SystemCommand(command.title, hint, partial(self.run_action, command.action, node))

    def keys_of(self, identifier: str, node: DOMNode) -> str:
        """The keys of a command as they are bound now, "" without any."""
        bindings = [binding for _, binding in node._bindings if binding.id == identifier]
        return "  ".join(self.get_key_display(binding) for binding in bindings if commands.is_key(binding.key))

    def action_leave(self) -> None:
        """Leave, after asking what is to become of an unsaved capture."""
        if self._session.unsaved or self._session.comments_unsaved:
            self.push_screen(SaveScreen(self._session, leaving=True), lambda leave: self.exit() if leave else None)
        else:
            self.exit()

    def action_help(self) -> None:
        """Show the keys that work now."""
        self.push_screen(HelpScreen(self.screen.active_bindings))

    def action_theme(self) -> None:
        """Take the other theme."""
        self.theme = self.state.theme = THEMES[self.theme == THEMES[0]]

    def action_save(self) -> None:
        """Save the packets received so far."""
        self.push_screen(SaveScreen(self._session, leaving=False))

    def action_stop_capture(self) -> None:
        """Stop capturing; the packets stay."""
        if self._session.feed.progress.running:
            self.run_worker(self._session.feed.stop, thread=True)
