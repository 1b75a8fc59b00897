# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key of every binding does what its binding says. A binding without a scenario here fails."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.widgets import Input

import qmisniff.tui
from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.panes import Arrangement, Panes
from qmisniff.tui.screens.help import HelpScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from tests.factories import qmi, tlv
from tests.tui.conversation import GET_IDS, IDS, IDS_ASKED, OK, SIGNAL, conversation, from_modem
from tests.tui.scripted import Seat, seated

Scenario = Callable[[Seat, str], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(identifier: str) -> Callable[[Scenario], Scenario]:
    """The decorated function shows what the binding with this id does, for any of its keys."""

    def add(function: Scenario) -> Scenario:
        assert identifier not in SCENARIOS
        SCENARIOS[identifier] = function
        return function

    return add


def bindings() -> list[Binding]:
    """All bindings of the program's own widgets and screens, one for each key."""
    found: list[Binding] = []
    for module in pkgutil.walk_packages(qmisniff.tui.__path__, "qmisniff.tui."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, DOMNode) and kind.__module__ == module.name:
                found += Binding.make_bindings(kind.__dict__.get("BINDINGS", ()))
    return found


EVERY = sorted((str(binding.id), binding.key) for binding in bindings())


def test_every_binding_has_an_id_a_description_and_a_scenario() -> None:
    for binding in bindings():
        assert binding.id and binding.description, binding
    assert {identifier for identifier, _ in EVERY} == SCENARIOS.keys()


def test_a_key_means_one_thing_in_a_place() -> None:
    for module in pkgutil.walk_packages(qmisniff.tui.__path__, "qmisniff.tui."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, LinePane):
                keys = [
                    binding.key for each in kind.__mro__ if issubclass(each, LinePane)
                    for binding in Binding.make_bindings(each.__dict__.get("BINDINGS", ()))
                ]  # fmt: skip
                assert len(keys) == len(set(keys)), kind


@pytest.mark.parametrize(("identifier", "key"), EVERY)
async def test_binding(identifier: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recording = tmp_path / "recording"
    recording.mkdir()
    live = identifier.startswith(("capture.", "save."))
    async with seated(live=live, folder=recording if live else None, size=(100, 36)) as seat:
        await SCENARIOS[identifier](seat, key)


async def test_nothing_is_bound_that_has_no_id() -> None:
    async with seated() as seat:
        for pane in (seat.packets, seat.details, seat.bytes):
            pane.focus()
            await seat.pilot.pause()
            assert all(active.binding.id for active in seat.main.active_bindings.values())


# ---- every pane ----


def panes(seat: Seat) -> list[LinePane]:
    return [seat.packets, seat.details, seat.bytes]


async def each_pane(seat: Seat, line: int) -> AsyncIterator[LinePane]:
    """Pane after pane, focused, cursor on a line, small enough to have pages; the packet with IDs is shown."""
    await seat.pilot.resize_terminal(60, 14)
    await seat.select(IDS)
    for pane in panes(seat):
        pane.focus()
        pane.move_to_line(line if line >= 0 else pane.line_count - 1)
        await seat.pilot.pause()
        assert 0 < pane.page < pane.line_count, pane
        yield pane


@scenario("cursor.down")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, 2):
        await seat.press(key)
        assert pane.cursor_line == 3, pane


@scenario("cursor.up")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, 2):
        await seat.press(key)
        assert pane.cursor_line == 1, pane


@scenario("cursor.page_down")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, 0):
        await seat.press(key)
        assert pane.cursor_line == pane.page, pane


@scenario("cursor.page_up")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, -1):
        await seat.press(key)
        assert pane.cursor_line == pane.line_count - 1 - pane.page, pane


@scenario("cursor.first")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, 3):
        await seat.press(key)
        assert pane.cursor_line == 0, pane
    assert seat.bytes.cursor_offset == 0


@scenario("cursor.last")
async def _(seat: Seat, key: str) -> None:
    async for pane in each_pane(seat, 0):
        await seat.press(key)
        assert pane.cursor_line == pane.line_count - 1, pane
    assert seat.bytes.cursor_offset == len(seat.bytes.data) - 1


async def slid(seat: Seat, pane: LinePane, *keys: str) -> int:
    pane.focus()
    await seat.press(*keys)
    return pane.scroll_offset.x


async def narrow(seat: Seat) -> None:
    await seat.select(IDS)
    await seat.pilot.resize_terminal(30, 36)
    await seat.pilot.pause()


@scenario("pane.slide_right")
async def _(seat: Seat, key: str) -> None:
    await narrow(seat)
    assert await slid(seat, seat.packets, key) > 0
    assert await slid(seat, seat.details, key) > 0


@scenario("pane.slide_left")
async def _(seat: Seat, key: str) -> None:
    await narrow(seat)
    for pane in (seat.packets, seat.details):
        right = await slid(seat, pane, *["greater_than_sign"] * 2)
        assert await slid(seat, pane, key) < right


@scenario("list.right")
async def _(seat: Seat, key: str) -> None:
    await narrow(seat)
    assert await slid(seat, seat.packets, key) > 0


@scenario("list.left")
async def _(seat: Seat, key: str) -> None:
    await narrow(seat)
    right = await slid(seat, seat.packets, *["greater_than_sign"] * 2)
    assert await slid(seat, seat.packets, key) < right


# ---- the list ----


@scenario("list.follow")
async def _(seat: Seat, key: str) -> None:
    seat.packets.focus()
    await seat.press(key)
    assert seat.packets.follow
    assert seat.packets.cursor_line == SIGNAL
    await seat.press(key)
    assert not seat.packets.follow


# ---- the details ----


async def at_field(seat: Seat, name: str) -> None:
    await seat.select(IDS)
    seat.details.focus()
    await seat.select_field(name)


@scenario("tree.collapse")
async def _(seat: Seat, key: str) -> None:
    await at_field(seat, "qmi.service")
    await seat.press(key)
    assert seat.details.names[seat.details.cursor_line] == "qmi"
    await seat.press(key)
    assert "qmi.service" not in seat.details.names


@scenario("tree.expand")
async def _(seat: Seat, key: str) -> None:
    await at_field(seat, "qrtr")
    assert "qrtr.type" not in seat.details.names
    await seat.press(key)
    assert "qrtr.type" in seat.details.names
    assert seat.details.names[seat.details.cursor_line] == "qrtr"
    await seat.press(key)
    assert seat.details.names[seat.details.cursor_line] == "qrtr.version"


@scenario("tree.toggle")
async def _(seat: Seat, key: str) -> None:
    await at_field(seat, "qrtr")
    await seat.press(key)
    assert "qrtr.type" in seat.details.names
    await seat.press(key)
    assert "qrtr.type" not in seat.details.names


@scenario("tree.expand_all")
async def _(seat: Seat, key: str) -> None:
    await at_field(seat, "qmi.service")
    await seat.press(key)
    assert {"frame.number", "tap.pid", "qrtr.type"} <= set(seat.details.names)
    assert seat.details.names[seat.details.cursor_line] == "qmi.service"


@scenario("tree.collapse_all")
async def _(seat: Seat, key: str) -> None:
    await at_field(seat, "qmi.service")
    await seat.press(key)
    assert seat.details.names == ["frame", "tap", "qrtr", "qmi"]
    assert seat.details.cursor_line == 3


# ---- the bytes ----


@scenario("bytes.next")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    seat.bytes.focus()
    seat.bytes.move_to_byte(40)
    await seat.press(key)
    assert seat.bytes.cursor_offset == 41


@scenario("bytes.previous")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    seat.bytes.focus()
    seat.bytes.move_to_byte(40)
    await seat.press(key)
    assert seat.bytes.cursor_offset == 39


# ---- the main screen ----


@scenario("pane.next")
async def _(seat: Seat, key: str) -> None:
    assert seat.packets.has_focus
    for pane in (seat.details, seat.bytes, seat.packets):
        await seat.press(key)
        assert pane.has_focus


@scenario("pane.previous")
async def _(seat: Seat, key: str) -> None:
    for pane in (seat.bytes, seat.details, seat.packets):
        await seat.press(key)
        assert pane.has_focus


@scenario("packet.partner")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS_ASKED)
    await seat.press(key)
    assert seat.packets.selected == IDS
    await seat.press(key)
    assert seat.packets.selected == IDS_ASKED
    await seat.select(SIGNAL)
    await seat.press(key)
    assert seat.packets.selected == SIGNAL


@scenario("pane.zoom")
async def _(seat: Seat, key: str) -> None:
    whole = seat.main.query_one(Panes).region
    before = [pane.region for pane in panes(seat)]
    await seat.press(key)
    assert seat.packets.region == whole
    await seat.press("tab")  # the zoom goes with the focus
    assert seat.details.has_focus
    assert seat.details.region == whole
    await seat.press("shift+tab", key)
    assert [pane.region for pane in panes(seat)] == before


@scenario("pane.layout")
async def _(seat: Seat, key: str) -> None:
    found = []
    for _ in Arrangement:
        found.append(seat.main.query_one(Panes).arrangement)
        await seat.press(key)
    assert found == list(Arrangement)
    assert seat.main.query_one(Panes).arrangement is found[0]


@scenario("pane.grow")
async def _(seat: Seat, key: str) -> None:
    for pane in panes(seat):
        pane.focus()
        await seat.pilot.pause()
        before = pane.region.height
        await seat.press(key)
        assert pane.region.height == before + 1


@scenario("pane.shrink")
async def _(seat: Seat, key: str) -> None:
    for pane in panes(seat):
        pane.focus()
        await seat.pilot.pause()
        before = pane.region.height
        await seat.press(key)
        assert pane.region.height == before - 1


# ---- the program ----


@scenario("app.quit")
async def _(seat: Seat, key: str) -> None:
    assert seat.app.return_code is None
    await seat.pilot.press(key)
    assert seat.app.return_code == 0


@scenario("app.help")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, HelpScreen)


@scenario("capture.save")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, SaveScreen)
    await seat.press("enter")
    await seat.until(lambda: isinstance(seat.app.screen, MainScreen), "it is saved")
    assert seat.session.unsaved == 0
    assert seat.session.feed.progress.running


@scenario("capture.stop")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    await seat.until(lambda: seat.script.closed and not seat.session.feed.progress.running, "the source is closed")
    assert len(seat.packets.rows) == len(conversation())


# ---- help ----


async def help_(seat: Seat) -> Pilot[None]:
    await seat.pilot.resize_terminal(60, 12)
    await seat.press("question_mark")
    assert isinstance(seat.app.screen, HelpScreen)
    return seat.pilot


@scenario("help.close")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press(key)
    assert isinstance(seat.app.screen, MainScreen)
    assert seat.app.return_code is None


def help_scroll(seat: Seat) -> float:
    return seat.app.screen.query_one("VerticalScroll").scroll_y


@scenario("help.down")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press(key)
    await seat.until(lambda: help_scroll(seat) == 1)


@scenario("help.up")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press("down", "down")
    await seat.until(lambda: help_scroll(seat) == 2)
    await seat.press(key)
    await seat.until(lambda: help_scroll(seat) == 1)


# ---- the question on leaving ----


async def asked(seat: Seat) -> None:
    await seat.press("q")
    assert isinstance(seat.app.screen, SaveScreen)


@scenario("save.cancel")
async def _(seat: Seat, key: str) -> None:
    await asked(seat)
    await seat.press(key)
    assert isinstance(seat.app.screen, MainScreen)
    assert seat.app.return_code is None
    seat.script.give([from_modem(qmi(2, 9, GET_IDS, OK, tlv(0x11, b"0")), 10, 40)])
    await seat.until(lambda: len(seat.packets.rows) == len(conversation()) + 1, "the capture goes on")


@scenario("save.give_up")
async def _(seat: Seat, key: str) -> None:
    await asked(seat)
    await seat.pilot.press(key)
    await seat.until(lambda: seat.app.return_code == 0, "the program ends")
    assert seat.session.unsaved == 0
    assert not list(Path().glob("*.pcapng"))


@scenario("save.next")
async def _(seat: Seat, key: str) -> None:
    await asked(seat)
    assert isinstance(seat.app.screen.focused, Input)
    await seat.press(key)
    assert seat.app.screen.focused is seat.app.screen.query_one("#save")


@scenario("save.previous")
async def _(seat: Seat, key: str) -> None:
    await asked(seat)
    await seat.press(key)
    assert seat.app.screen.focused is seat.app.screen.query_one("#cancel")
