# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of starting, stopping, pausing and opening captures."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input, OptionList

from qmisniff.capture_file import Writer
from qmisniff.tui.opening import Opener
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from qmisniff.tui.screens.start import StartScreen
from qmisniff.tui.session import Session
from qmisniff.tui.suggestions import Suggestions
from tests.tui.conversation import conversation, hello
from tests.tui.scenarios import scenario
from tests.tui.scripted import Script, Seat, dissector, shown


def capture(name: str = "other.pcapng") -> Path:
    path = Path(name)
    with path.open("wb") as stream:
        Writer(stream).write([*conversation(), hello()])
    return path


async def shows(seat: Seat, count: int) -> MainScreen:
    """The main screen of another capture of so many packets."""

    def there() -> bool:
        screen = seat.app.screen
        return (
            isinstance(screen, MainScreen)
            and screen is not seat.main
            and bool(screen.query(PacketList))
            and len(screen.packets.rows) == count
        )

    await seat.until(there, f"{count} packets of another capture are shown")
    screen = seat.app.screen
    assert isinstance(screen, MainScreen)
    return screen


@scenario("capture.stop")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    await seat.until(lambda: seat.script.closed and not seat.session.feed.progress.running, "the source is closed")
    assert len(seat.packets.rows) == len(conversation())
    seat.session.again = lambda: Session(Script([hello()]), dissector())
    await seat.press(key)  # begin anew: what is not saved is asked for first
    assert isinstance(seat.app.screen, SaveScreen)
    await seat.press("ctrl+n")
    await shows(seat, 1)


@scenario("capture.restart")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert seat.app.screen is seat.main  # a pipe cannot be had once more
    seat.session.again = lambda: Session(Script([hello()]), dissector())
    await seat.press(key)
    assert isinstance(seat.app.screen, SaveScreen)
    await seat.press("escape")
    assert seat.app.screen is seat.main and seat.session.feed.progress.running
    await seat.press(key, "ctrl+n")
    screen = await shows(seat, 1)
    assert seat.script.closed
    assert screen.session.feed.progress.running


@scenario("capture.open")
async def _(seat: Seat, key: str) -> None:
    seat.session.give_up()
    await seat.press(key)
    assert seat.app.screen is not seat.main
    await seat.press(*"nowhere", "enter")
    await seat.pilot.pause(0.2)
    assert seat.app.screen_stack[-1] is seat.main  # it says that there is no such file, and all is as it was
    capture("other")
    Path("folder").mkdir()
    capture("folder/another")
    await seat.press(key, *"fol")
    suggestions = seat.app.screen.query_one(Suggestions)
    await seat.until(lambda: suggestions.display, "the folder is offered")
    await seat.press("down", "enter", "a")
    await seat.until(lambda: suggestions.display, "the file in it is offered")
    await seat.press("tab")
    assert seat.app.screen.query_one(Input).value == "folder/another"
    await seat.press("ctrl+u", *"other", "enter")
    await shows(seat, 8)
    assert seat.app.state.files == [str(Path("other").absolute())]


@scenario("capture.choose")
async def _(seat: Seat, key: str) -> None:
    seat.session.give_up()
    seat.app.state.remember_file(capture())
    await seat.press(key)
    assert isinstance(seat.app.screen, StartScreen)
    options = seat.app.screen.query_one(OptionList)
    await seat.until(lambda: options.option_count > 5, "sources, files and samples are listed")
    lines = [str(option.prompt) for option in options.options]
    assert "Sources" in lines and any("kernel" in line for line in lines)
    assert any(line.strip() == str(Path("other.pcapng").absolute()) for line in lines)
    assert any("first-contact.pcapng" in line for line in lines)
    options.highlighted = next(at for at, line in enumerate(lines) if "other.pcapng" in line)
    await seat.press("enter")
    await shows(seat, 8)
    await seat.press(key)
    await seat.until(lambda: seat.app.screen.query_one(OptionList).option_count > 5, "they are listed once more")
    options = seat.app.screen.query_one(OptionList)
    options.highlighted = next(at for at, each in enumerate(options.options) if "another" in str(each.prompt))
    await seat.press("enter")
    assert isinstance(seat.app.screen, AskScreen)


@scenario("start.down")
async def _(seat: Seat, key: str) -> None:
    options = await started(seat)
    before = options.highlighted or 0
    await seat.press(key)
    assert (options.highlighted or 0) > before


@scenario("start.up")
async def _(seat: Seat, key: str) -> None:
    options = await started(seat)
    before = options.highlighted
    await seat.press("j", key)
    assert options.highlighted == before


async def started(seat: Seat) -> OptionList:
    seat.app.action_start()
    await seat.until(lambda: isinstance(seat.app.screen, StartScreen))
    options = seat.app.screen.query_one(OptionList)
    await seat.until(lambda: options.option_count > 3)
    return options


@scenario("list.pause")
async def _(seat: Seat, key: str) -> None:
    seat.session.again = Opener(dissector().registry).file(capture()).again
    await seat.press("ctrl+r")
    screen = await shows(seat, 8)
    await seat.press(key)
    assert "paused" in shown(screen.query_one("#capture"))[0]
    screen.session.store.extend([hello()] * 5)
    screen.pull(always=True)
    await seat.pilot.pause(0.3)
    assert len(screen.packets.rows) == 8
    await seat.press(key)
    await seat.until(lambda: len(screen.packets.rows) == 13, "what came meanwhile is shown")
