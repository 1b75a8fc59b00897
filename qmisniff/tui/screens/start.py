# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be looked at, where nothing was named: sources, recent files, samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from qmisniff.capture import names, probe
from qmisniff.errors import QmisniffError
from qmisniff.paths import data_dir
from qmisniff.printable import plain
from qmisniff.tui import commands
from qmisniff.tui.footer import KeyLine
from qmisniff.tui.opening import Opener
from qmisniff.tui.session import Session
from qmisniff.tui.state import State

Make = Callable[[], Session]
_OTHER = "other"


class StartScreen(Screen[None], inherit_bindings=False):
    """`use` is given what makes the session that the user chose."""

    HELP_TITLE = "Start"
    OFFERS = commands.START
    BINDINGS = commands.bindings(OFFERS)
    DEFAULT_CSS = """
    StartScreen {
        #title { padding: 0 1; text-style: bold; background: $panel; width: 1fr; }
        OptionList { height: 1fr; border: none; background: $background; }
    }
    """

    def __init__(self, opener: Opener, state: State, use: Callable[[Make], None]) -> None:
        super().__init__()
        self._opener = opener
        self._state = state
        self._use = use
        self._makes: list[Make] = []

    def compose(self) -> ComposeResult:
        yield Static("qmisniff: what to look at?", id="title", markup=False)
        yield OptionList()
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._probe()

    @work(thread=True, exit_on_error=False)
    def _probe(self) -> None:
        """Ask every source whether it can run: that may take a moment."""
        found = []
        for name in names():
            try:
                found.append((name, probe(name)))
            except QmisniffError:
                continue
        sources = [(name, state.ok, (not state.ok and state.remedy) or state.reason) for name, state in found]
        self.app.call_from_thread(self._list, sources)

    def _list(self, sources: list[tuple[str, bool, str]]) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        self._makes = []
        self._heading("Sources")
        for name, ready, text in sources:
            self._offer(f"{name:<12} {'ready' if ready else 'not here'}: {text}", partial(self._opener.source, name))
        self._heading("Files")
        for path in (Path(name) for name in reversed(self._state.files) if Path(name).is_file()):
            self._offer(str(path), partial(self._opener.file, path))
        options.add_option(Option("  another ...", id=_OTHER))
        self._heading("Samples")
        for path in sorted(data_dir("captures").glob("*.pcap*")):
            self._offer(path.name, partial(self._opener.file, path))
        can_run = [at for at, (_, ready, _) in enumerate(sources) if ready]
        options.highlighted = 1 + can_run[0] if can_run else len(sources) + 2  # below the second heading

    def _heading(self, text: str) -> None:
        self.query_one(OptionList).add_option(Option(Text(text, "bold"), disabled=True))

    def _offer(self, text: str, make: Make) -> None:
        self._makes.append(make)
        line = Text(f"  {plain(text)}", no_wrap=True, overflow="ellipsis")
        self.query_one(OptionList).add_option(Option(line, id=str(len(self._makes) - 1)))

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == _OTHER:
            await self.app.run_action("app.open_file")
        else:
            self._use(self._makes[int(event.option.id or 0)])

    def action_move(self, step: int) -> None:
        """Go up or down."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
