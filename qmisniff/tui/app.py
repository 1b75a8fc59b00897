# SPDX-License-Identifier: GPL-2.0-or-later
"""The program on the screen: which screen is on, what it remembers, and how it is left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from textual.app import SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from qmisniff.definitions import Registry
from qmisniff.errors import QmisniffError
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.commands import offered
from qmisniff.tui.file_names import file_names
from qmisniff.tui.keys import every_id, load_keys
from qmisniff.tui.opening import Opener
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.help import HelpScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from qmisniff.tui.screens.start import StartScreen
from qmisniff.tui.session import Session
from qmisniff.tui.state import load_state
from qmisniff.tui.terminal import when_gone
from qmisniff.tui.typeahead import TypeAheadApp

THEMES = ("textual-dark", "textual-light")


class QmisniffApp(TypeAheadApp, inherit_bindings=False):
    """Shows one session after another. The feed starts when the screen stands; whoever runs the app closes the last.

    Without a session it begins with the start screen; `registry` decodes what is opened there. `display_filter` is for
    the first session.
    """

    TITLE = "qmisniff"
    HELP_TITLE = "Program"
    OFFERS = commands.PROGRAM
    BINDINGS = commands.bindings(OFFERS)

    def __init__(self, session: Session | None, registry: Registry, display_filter: str = "") -> None:
        super().__init__()
        self._filter = display_filter
        self.state = load_state()
        self.session = session
        self._opener = Opener(registry)
        self._clashes: set[str | None] = set()
        if self.state.theme in THEMES:
            self.theme = self.state.theme

    def on_mount(self) -> None:
        keys = load_keys(every_id())
        self.set_keymap(keys.by_id)
        if self.session is None:
            self.action_start()
        else:
            main = self._show(self.session)
            if self._filter:
                main.call_after_refresh(main.bar.put, self._filter, apply=True)
        for problem in keys.problems:
            self.warn(problem)
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

    def _show(self, session: Session) -> MainScreen:
        self.session = session
        if session.path is not None:
            self.state.remember_file(session.path)
        main = MainScreen(session, self.state)
        self.push_screen(main)
        session.feed.start()
        return main

    def _after_saving(self, then: Callable[[], object]) -> None:
        """Go on after asking what is to become of what is unsaved."""
        session = self.session
        if session is not None and (session.unsaved or session.comments_unsaved):

            def answered(leave: bool | None) -> None:
                if leave:
                    then()

            self.push_screen(SaveScreen(session, leaving=True), answered)
        else:
            then()

    def use(self, make: Callable[[], Session]) -> None:
        """Look at another capture instead of the one that is on the screen."""
        self._after_saving(partial(self.run_worker, partial(self._open, make), thread=True, exit_on_error=False))

    def _open(self, make: Callable[[], Session]) -> None:
        """Make a session, in a thread: what it is instead of is closed only when there is one."""
        try:
            session = make()
        except QmisniffError as error:
            self.call_from_thread(self.warn, str(error))
            return
        if self.session is not None:
            self.session.sieve.use(None)
            self.session.close()
        self.call_from_thread(self._replace, session)

    def _replace(self, session: Session) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._show(session)

    def action_leave(self) -> None:
        """Leave, after asking what is to become of an unsaved capture."""
        self._after_saving(self.exit)

    def action_start(self) -> None:
        """Choose what to look at."""
        if not isinstance(self.screen, StartScreen):
            self.push_screen(StartScreen(self._opener, self.state, self.use))

    def action_open_file(self) -> None:
        """Look at another capture file."""

        def answered(name: str | None) -> None:
            if name is not None:
                self.use(partial(self._opener.file, Path(name).expanduser()))

        self.push_screen(AskScreen("Open the file", offer=file_names), answered)

    def action_restart(self) -> None:
        """Capture anew, or load the file again."""
        if self.session is None or self.session.again is None:
            self.warn("This cannot be had once more.")
        else:
            self.use(self.session.again)

    def action_help(self) -> None:
        """Show the keys that work now."""
        self.push_screen(HelpScreen(self.screen.active_bindings))

    def action_redraw(self) -> None:
        """Paint the whole screen anew: ssh, say, has written on it."""
        self.screen.refresh(layout=True)

    def action_theme(self) -> None:
        """Take the other theme."""
        self.theme = self.state.theme = THEMES[self.theme == THEMES[0]]

    def action_save(self) -> None:
        """Save the packets received so far."""
        if self.session is not None:
            self.push_screen(SaveScreen(self.session, leaving=False))

    def action_stop_capture(self) -> None:
        """Stop capturing; the packets stay. When it is stopped, capture anew."""
        session = self.session
        if session is not None and session.feed.progress.running:
            self.run_worker(session.feed.stop, thread=True)
        elif session is not None and session.feed.live:
            self.action_restart()
