# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture that does what a test says, and the screen in front of it."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from textual.app import App
from textual.command import Command as CommandOption
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input

from qmisniff.definitions import open_registry
from qmisniff.frame import Frame
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.bytes_pane import BytesPane
from qmisniff.tui.commands import Command, offered
from qmisniff.tui.detail_tree import DetailTree
from qmisniff.tui.guard import GuardedDissector
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.recording import TemporaryRecording
from qmisniff.tui.said import Said
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.session import Session
from qmisniff.tui.status import StatusLine
from tests.tui.conversation import conversation
from tests.tui.tmux import PATIENCE_S

PALETTE = "palette:"  # stands for a key where a command is chosen by its name


def wait(condition: Callable[[], object]) -> None:
    """Wait, where no screen is, until something is true; fail when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never became true: {condition}"
        time.sleep(0.01)


async def until(condition: Callable[[], object], pilot: Pilot[Any], what: str = "") -> None:
    """Wait in front of a screen until something is true; fail when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never became true: {what or condition}"
        await asyncio.sleep(0.01)
    if pilot.app.return_code is None:
        await pilot.pause()


class Script:
    """An input that gives what it is told to, when it is told to."""

    name = "script"

    def __init__(self, frames: list[Frame] | None = None, live: bool = True, notes: tuple[str, ...] = ()) -> None:
        self.notes = notes
        self.started = True
        self.live = live
        self.lost = 0
        self.damage = ""
        self.closed = False
        self._orders: queue.SimpleQueue[list[Frame] | Exception | None] = queue.SimpleQueue()
        if frames is not None:
            self.give(frames)
        if not live:
            self.end()

    def give(self, frames: list[Frame]) -> None:
        """These frames come next."""
        self._orders.put(frames)

    def end(self) -> None:
        """There is nothing more."""
        self._orders.put(None)

    def fail(self, error: Exception) -> None:
        """The source dies."""
        self._orders.put(error)

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        try:
            while not stop.is_set():
                try:
                    order = self._orders.get(timeout=0.01)
                except queue.Empty:
                    continue
                if order is None:
                    return
                if isinstance(order, Exception):
                    raise order
                yield order
        finally:
            self.closed = True


class Seat:
    """What somebody at the screen sees and does."""

    def __init__(self, pilot: Pilot[None], session: Session, script: Script) -> None:
        self.pilot = pilot
        self.session = session
        self.script = script
        self.app = cast(QmisniffApp, pilot.app)
        screen = self.app.screen
        assert isinstance(screen, MainScreen)
        self.main = screen
        self.packets = self.main.query_one(PacketList)
        self.details = self.main.query_one(DetailTree)
        self.bytes = self.main.query_one(BytesPane)
        self.capture_line = self.main.query_one("#capture", StatusLine)
        self.field_line = self.main.query_one("#field", StatusLine)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until something is true; fail when it never is."""
        await until(condition, self.pilot, what)

    async def press(self, *keys: str) -> None:
        """Press keys one by one, each seen through before the next; `palette:ID` gives a command from the palette."""
        for key in keys:
            if key.startswith(PALETTE):
                await self._choose(key.removeprefix(PALETTE))
            else:
                await self.pilot.press(key)
            if self.app._busy is not None:  # the pilot gives up waiting on a machine that does other things too
                await self.until(lambda: self.app._busy is None, f"{key} has done what it does")
        await self.pilot.pause()

    async def _choose(self, identifier: str) -> None:
        """Find a command in the palette by its title, and take it."""
        command = next(each for each, _ in offered(self.app.screen) if each.id == identifier)
        below = self.app.screen
        await self.pilot.press("ctrl+p")
        palette = self.app.screen
        assert isinstance(palette, CommandPalette)
        palette.query_one(Input).value = command.title
        await self.until(lambda: self._hit(palette, command) >= 0, f"{command.title} is found")
        choices = palette.query_one(CommandList)
        choices.highlighted = self._hit(palette, command)
        await self.pilot.press("enter")
        await self.until(lambda: self.app.screen is not palette, "the palette has closed")
        assert below in self.app.screen_stack

    def _hit(self, palette: CommandPalette, command: Command) -> int:
        """The place of a command among those found, -1 where it is not there."""
        options = palette.query_one(CommandList).options
        found = [at for at, option in enumerate(options) if _is(option, command)]
        return found[0] if found else -1

    async def select(self, row: int) -> None:
        """Go to a packet and see its details."""
        self.packets.move_to_row(row)
        await self.until(lambda: self.bytes.data == self.session.store.frame(row).data, f"packet {row + 1} is shown")
        await self.pilot.pause()

    async def filter(self, text: str) -> None:
        """Apply a display filter by typing it, and see what passes."""
        await self.press("slash", "end", "ctrl+u")
        self.main.bar.put(text, apply=False)
        await self.press("enter")
        await self.until(lambda: self.packets.has_focus, f"{text!r} is applied")
        await self.until(lambda: self.session.sieve.asked == len(self.session.store), "all packets were asked")
        await self.until(lambda: len(self.packets.rows) == len(self.session.sieve.rows), "what passes is shown")

    async def select_field(self, name: str) -> None:
        """Go to the field with a filter name in the details."""
        line = next(at for at, text in enumerate(self.details.names) if text == name)
        self.details.move_to_line(line)
        await self.pilot.pause()


def _is(option: object, command: Command) -> bool:
    return (
        isinstance(option, CommandOption) and option.hit.text == command.title and command.help in str(option.hit.help)
    )


def shown(widget: Widget) -> list[str]:
    """The lines of a widget as they are on the screen."""
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


def said(app: App[None]) -> str:
    """What the dialog on the screen says of what was typed, as far as it can be seen."""
    return " ".join(line.strip() for each in app.screen.query(Said) if each.display for line in shown(each))


@cache
def dissector() -> GuardedDissector:
    """The shipped definitions, read once."""
    return GuardedDissector(open_registry([]))


@asynccontextmanager
async def seated(
    frames: list[Frame] | None = None,
    live: bool = False,
    size: tuple[int, int] = (120, 40),
    folder: Path | None = None,
    notes: tuple[str, ...] = (),
) -> AsyncIterator[Seat]:
    """The screen with these frames on it (by default the conversation), live or as a file; in `folder` a recording."""
    frames = conversation() if frames is None else frames
    script = Script(frames, live, notes)
    session = Session(script, dissector(), TemporaryRecording(folder) if folder is not None else None)
    app = QmisniffApp(session, dissector().registry)
    try:
        async with app.run_test(size=size, notifications=bool(notes)) as pilot:
            await pilot.pause()
            seat = Seat(pilot, session, script)
            await seat.until(lambda: len(seat.packets.rows) == len(frames), "all packets are listed")
            yield seat
    finally:
        session.close()
