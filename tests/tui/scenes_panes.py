# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of the commands of panes, main screen, help and saving."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from textual._compositor import LayoutUpdate
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList

from qmisniff.tui.line_pane import LinePane
from qmisniff.tui.panes import Arrangement, Panes
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.help import HelpScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from tests.factories import qmi, tlv
from tests.tui.conversation import GET_IDS, IDS, IDS_ASKED, OK, SIGNAL, conversation, from_modem
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat

# ---- every pane ----


def panes(seat: Seat) -> list[LinePane]:
    return [seat.packets, seat.details, seat.bytes]


async def each_pane(seat: Seat, line: int) -> AsyncIterator[LinePane]:
    """Pane after pane, focused, cursor on a line, small enough to have pages; the packet with IDs is shown."""
    await seat.pilot.resize_terminal(60, 15)
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


@scenario("column.next")
async def _(seat: Seat, key: str) -> None:
    seat.packets.action_column(-100)
    await seat.press(key)
    assert seat.packets.column is not None and seat.packets.column.id == "time"


@scenario("column.previous")
async def _(seat: Seat, key: str) -> None:
    assert seat.packets.column is not None and seat.packets.column.id == "info"
    await seat.press(key)
    assert seat.packets.column.id == "length"


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


@scenario("help.page_down")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press(key)
    page = seat.app.screen.query_one("VerticalScroll").scrollable_content_region.height
    await seat.until(lambda: help_scroll(seat) == page)


@scenario("help.page_up")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press("pagedown", "down", key)
    await seat.until(lambda: help_scroll(seat) == 1)


@scenario("help.last")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press(key)
    await seat.until(lambda: help_scroll(seat) == seat.app.screen.query_one("VerticalScroll").max_scroll_y > 1)


@scenario("help.first")
async def _(seat: Seat, key: str) -> None:
    await (await help_(seat)).press("end", key)
    await seat.until(lambda: help_scroll(seat) == 0)


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


# ---- the palette, themes ----


@scenario("app.palette")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, CommandPalette)


@scenario("pane.menu")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key)
    menu = seat.app.screen
    assert isinstance(menu, ChooseScreen)
    titles = [str(option.prompt).partition(" ")[2] for option in menu.query_one(OptionList).options]
    assert {"Apply as filter", "Copy", "Follow", "Comment", "Add column"} <= set(titles)
    await seat.press(str(1 + titles.index("Mark")))
    assert seat.app.screen is seat.main and seat.session.notes.marked == {IDS}
    await seat.press(key, "escape")
    assert seat.app.screen is seat.main


@scenario("app.redraw")
async def _(seat: Seat, key: str) -> None:
    painted: list[object] = []
    display = seat.app._display

    def record(screen: Screen[object], update: object) -> None:
        painted.append(update)
        display(screen, update)  # type: ignore[arg-type]

    setattr(seat.app, "_display", record)  # noqa: B010 - a method
    await seat.press(key)
    whole = seat.app.screen.region
    await seat.until(lambda: any(isinstance(each, LayoutUpdate) and each.region == whole for each in painted), "all")


@scenario("app.theme")
async def _(seat: Seat, key: str) -> None:
    before = seat.app.theme
    await seat.press(key)
    assert {before, seat.app.theme} == {"textual-dark", "textual-light"}
    await seat.press(key)
    assert seat.app.theme == before
