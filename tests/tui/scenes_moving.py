# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of going from packet to packet, of finding and of noting."""

from __future__ import annotations

import threading
import time

import pytest
from textual.widgets import Input, RadioButton, RadioSet

from qmisniff.tui.screens import moving
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.find import FindScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.search import By, Place
from tests.tui.conversation import IDS, IDS_ASKED, SERVING_ASKED, SERVING_REFUSED, SIGNAL
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat, said, shown


async def arrives(seat: Seat, row: int) -> None:
    await seat.until(lambda: seat.packets.selected == row, f"packet {row + 1} is selected")


@scenario("packet.below")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS_ASKED)
    seat.details.focus()
    await seat.select_field("qmi.msgid")
    await seat.press(key)
    await seat.until(lambda: seat.bytes.data == seat.session.store.frame(IDS).data, "the response is shown")
    assert seat.details.has_focus and seat.details.names[seat.details.cursor_line] == "qmi.msgid"


@scenario("packet.above")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    seat.bytes.focus()
    await seat.press(key)
    assert seat.packets.selected == IDS_ASKED and seat.bytes.has_focus


@scenario("list.details")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key)
    assert seat.details.has_focus and seat.packets.selected == IDS


@scenario("packet.next")
async def _(seat: Seat, key: str) -> None:
    await seat.select(SERVING_ASKED)
    await seat.press(key)
    await arrives(seat, SERVING_REFUSED)
    await seat.press(key)
    await arrives(seat, SIGNAL)
    await seat.press(key)
    await arrives(seat, SERVING_ASKED)  # around the end


@scenario("packet.previous")
async def _(seat: Seat, key: str) -> None:
    await seat.select(SIGNAL)
    await seat.press(key)
    await arrives(seat, SERVING_REFUSED)
    await seat.press(key)
    await arrives(seat, SERVING_ASKED)


@scenario("packet.back")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert seat.packets.selected == 0
    await seat.select(IDS)
    await seat.press("r")
    assert seat.packets.selected == IDS_ASKED
    await seat.press("full_stop")
    await arrives(seat, IDS)
    await seat.press(key)
    assert seat.packets.selected == IDS_ASKED
    await seat.press(key)
    assert seat.packets.selected == IDS


@scenario("packet.forth")
async def _(seat: Seat, key: str) -> None:
    await seat.select(SERVING_REFUSED)
    await seat.press("r", "backspace")
    assert seat.packets.selected == SERVING_REFUSED
    await seat.press(key)
    assert seat.packets.selected == SERVING_ASKED
    await seat.press(key)
    assert seat.packets.selected == SERVING_ASKED


@scenario("packet.number")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key, "9", "enter")
    assert isinstance(seat.app.screen, AskScreen) and "numbers 1 to 7" in said(seat.app)
    await seat.press("backspace", "5", "enter")
    assert seat.packets.selected == 4


async def find(seat: Seat, text: str, by: By, place: Place) -> None:
    """Fill in the question and search."""
    await seat.press("ctrl+f")
    screen = seat.app.screen
    assert isinstance(screen, FindScreen)
    screen.query_one(Input).value = text
    for name, at in (("#by", list(By).index(by)), ("#place", list(Place).index(place))):
        buttons = screen.query_one(name, RadioSet)
        list(buttons.query("RadioButton"))[at].value = True  # type: ignore[attr-defined]
    await seat.pilot.pause()
    await seat.press("enter")


def overheard(seat: Seat) -> list[str]:
    """What the main screen tells the user from now on."""
    said: list[str] = []

    def notify(message: str, **_: object) -> None:
        said.append(message)

    seat.main.notify = notify  # type: ignore[method-assign]
    return said


@scenario("find.new")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, FindScreen)
    lines = [line for buttons in seat.app.screen.query(RadioButton) for line in shown(buttons)]
    assert [line for line in lines if "●" in line] == ["▐●▌ text", "▐●▌ in the list"] and len(lines) == 7
    await seat.press(*"serving", "enter")
    await arrives(seat, SERVING_ASKED)
    await find(seat, "IMEI: 0010123", By.TEXT, Place.DETAILS)
    await arrives(seat, IDS)
    assert seat.details.names[seat.details.cursor_line] == "qmi.dms.get_ids.imei"
    await find(seat, "c4 f4 9f", By.HEX, Place.LIST)
    await arrives(seat, SIGNAL)
    assert seat.bytes.data[seat.bytes.cursor_offset :].startswith(b"\xc4\xf4\x9f")
    await find(seat, "^.*refused|0{2}1[0-9]+5678", By.REGEX, Place.BYTES)
    await arrives(seat, IDS)
    await find(seat, "qmi.error == 94", By.FILTER, Place.LIST)
    await arrives(seat, SERVING_REFUSED)
    await find(seat, "qmi.nothing", By.FILTER, Place.LIST)
    assert isinstance(seat.app.screen, FindScreen) and "neither a field nor a protocol" in said(seat.app)
    await seat.press("escape")
    await find(seat, "not there", By.TEXT, Place.LIST)
    await seat.pilot.pause(0.1)
    assert isinstance(seat.app.screen, MainScreen) and seat.packets.selected == SERVING_REFUSED


@scenario("find.next")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, FindScreen)  # nothing was searched for yet
    await seat.press(*"get ids".replace(" ", "_").split("_")[0], "space", *"ids", "enter")
    await arrives(seat, IDS_ASKED)
    await seat.press(key)
    await arrives(seat, IDS)
    said = overheard(seat)
    await seat.press(key)
    await arrives(seat, IDS_ASKED)
    assert said == ["Went on from the first packet."]


@scenario("find.previous")
async def _(seat: Seat, key: str) -> None:
    await find(seat, "Request", By.TEXT, Place.LIST)
    await arrives(seat, IDS_ASKED)
    said = overheard(seat)
    await seat.press(key)
    await arrives(seat, SERVING_ASKED)
    assert said == ["Went on from the last packet."]


@scenario("find.stop")
async def _(seat: Seat, key: str) -> None:
    begun = threading.Event()

    def endless(*args: object) -> None:
        begun.set()
        given_up = args[-1]
        assert callable(given_up)
        while not given_up():
            time.sleep(0.001)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "first_hit", endless)
        await find(seat, "nowhere", By.TEXT, Place.LIST)
        await seat.until(begun.is_set)
        await seat.until(lambda: "searching: esc gives up" in shown(seat.capture_line)[0], "the search is seen")
        await seat.press(key)
        await seat.until(lambda: "searching" not in shown(seat.capture_line)[0], "it is given up")
    assert seat.packets.selected == 0


@scenario("finding.cancel")
async def _(seat: Seat, key: str) -> None:
    await seat.press("ctrl+f", *"get", key)
    assert isinstance(seat.app.screen, MainScreen) and seat.packets.selected == 0


@scenario("finding.next")
async def _(seat: Seat, key: str) -> None:
    await seat.press("ctrl+f", *"c4", "space", *"f4", key)
    assert isinstance(seat.app.screen.focused, RadioSet)
    await seat.press("down", "enter")  # the next way to search, and do it
    await arrives(seat, SIGNAL)


@scenario("finding.previous")
async def _(seat: Seat, key: str) -> None:
    await seat.press("ctrl+f", "tab", key)
    assert isinstance(seat.app.screen.focused, Input)


# ---- notes ----


def marks(seat: Seat) -> str:
    return "".join(line[1:2] for line in shown(seat.packets)[1:8])


@scenario("mark.toggle")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key)
    assert seat.session.notes.marked == {IDS} and marks(seat) == "   *   "
    assert "1 marked" in shown(seat.capture_line)[0]
    await seat.press(key)
    assert not seat.session.notes.marked and marks(seat).strip() == ""


@scenario("mark.next")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert seat.packets.selected == 0
    seat.session.notes.marked |= {IDS, SIGNAL}
    for row in (IDS, SIGNAL, IDS):
        await seat.press(key)
        assert seat.packets.selected == row


@scenario("mark.previous")
async def _(seat: Seat, key: str) -> None:
    seat.session.notes.marked |= {IDS, SIGNAL}
    for row in (SIGNAL, IDS, SIGNAL):
        await seat.press(key)
        assert seat.packets.selected == row


@scenario("mark.shown")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.type == request")
    await seat.press(key)
    assert seat.session.notes.marked == {IDS_ASKED, SERVING_ASKED}


@scenario("mark.none")
async def _(seat: Seat, key: str) -> None:
    await seat.press("M", key)
    assert not seat.session.notes.marked


@scenario("comment.edit")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key, *"odd", "enter")
    assert seat.session.notes.comments == {IDS: "odd"} and marks(seat) == "   c   "
    assert shown(seat.details)[0].strip() == "Comment: odd"
    await seat.press(key, "ctrl+u", "enter")
    assert seat.session.notes.comments == {} and "Comment" not in shown(seat.details)[0]


@scenario("comment.next")
async def _(seat: Seat, key: str) -> None:
    seat.session.comment(SIGNAL, "here")
    await seat.press(key)
    assert seat.packets.selected == SIGNAL


@scenario("packet.ignore")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key)
    assert marks(seat) == "   x   " and "(ignored)" in shown(seat.packets)[1 + IDS]
    assert seat.bytes.data == b"" and seat.details.field is None
    await seat.press(key)
    assert "Get IDs" in shown(seat.packets)[1 + IDS] and seat.bytes.data


@scenario("time.reference")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    await seat.press(key)
    lines = shown(seat.packets)
    assert marks(seat) == "   T   " and " 0.000000 " in lines[1 + IDS] and " 0.007500 " in lines[1 + SERVING_ASKED]
    assert " 0.010000 " in lines[1 + IDS_ASKED]
    await seat.press(key)
    assert " 0.020000 " in shown(seat.packets)[1 + SERVING_ASKED]
