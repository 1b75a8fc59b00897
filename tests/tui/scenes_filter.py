# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of the filter bar and of making filters."""

from __future__ import annotations

from functools import partial

from textual.widgets import Input, OptionList

from qmisniff.tui.conditions import How
from qmisniff.tui.filter_bar import FilterInput
from qmisniff.tui.saved_filters import load_filters, save_filters
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.suggestions import Suggestions
from tests.tui.conversation import IDS, IDS_ASKED, SERVING_ASKED, conversation
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat, said


async def typed(seat: Seat, text: str) -> Suggestions:
    """The filter bar with this text typed key by key, and what it suggests."""
    await seat.press("slash")
    for char in text:
        await seat.pilot.press({" ": "space", ".": "full_stop", "=": "equals_sign"}.get(char, char))
    await seat.until(lambda: not seat.main.bar._checking, "the text has been looked at")
    await seat.pilot.pause()
    return seat.main.query_one(Suggestions)


@scenario("filter.edit")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.main.focused, FilterInput)


@scenario("filter.apply")
async def _(seat: Seat, key: str) -> None:
    await typed(seat, "qmi.type == request")
    await seat.press(key)
    await seat.until(lambda: list(seat.packets.rows) == [IDS_ASKED, SERVING_ASKED], "only requests are shown")
    assert seat.packets.has_focus
    assert seat.app.state.filters == ["qmi.type == request"]


@scenario("filter.complete")
async def _(seat: Seat, key: str) -> None:
    suggestions = await typed(seat, "qmi.se")
    assert suggestions.display and suggestions.highlighted is None
    await seat.press(key)
    assert seat.main.bar.text == "qmi.serv"  # what all of them begin with
    await seat.until(lambda: not seat.main.bar._checking)
    await seat.press(key, key)
    assert seat.main.bar.text == "qmi.service "
    await seat.until(lambda: not seat.main.bar._checking)
    await seat.press(key)
    assert suggestions.display and suggestions.option_count > 5  # operators
    assert "any value is equal" in str(suggestions.get_option_at_index(0).prompt)


@scenario("filter.next")
async def _(seat: Seat, key: str) -> None:
    suggestions = await typed(seat, "qmi.d")
    await seat.press(key, key)
    assert suggestions.highlighted == 1
    await seat.press("enter")
    assert seat.main.bar.text.startswith("qmi.d") and len(seat.main.bar.text) > 5
    assert seat.session.sieve.filter is None  # the word was taken, nothing applied


@scenario("filter.previous")
async def _(seat: Seat, key: str) -> None:
    for text in ("qmi.type == 0", "qmi.type == 1"):
        await seat.filter(text)
    await seat.press("X")
    await seat.until(lambda: seat.session.sieve.filter is None)
    await typed(seat, "")
    await seat.press(key)
    assert seat.main.bar.text == "qmi.type == 1"
    await seat.press(key, key)
    assert seat.main.bar.text == "qmi.type == 0"
    await seat.press("down", "down")
    assert seat.main.bar.text == ""


@scenario("filter.leave")
async def _(seat: Seat, key: str) -> None:
    suggestions = await typed(seat, "qmi.")
    assert suggestions.display
    await seat.press(key)
    assert not suggestions.display and isinstance(seat.main.focused, FilterInput)
    await seat.press(key)
    assert seat.packets.has_focus


@scenario("filter.toggle")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.type == request")
    await seat.select(SERVING_ASKED)
    await seat.press(key)
    await seat.until(lambda: len(seat.packets.rows) == len(conversation()))
    assert seat.packets.selected == SERVING_ASKED  # the packet stays under the cursor
    assert seat.main.bar.text == "qmi.type == request" and seat.main.bar.off
    await seat.press(key)
    await seat.until(lambda: len(seat.packets.rows) == 2)
    assert seat.packets.selected == SERVING_ASKED and not seat.main.bar.off


@scenario("filter.clear")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.type == request")
    await seat.press(key)
    await seat.until(lambda: len(seat.packets.rows) == len(conversation()))
    assert seat.main.bar.text == ""


def applied(seat: Seat, text: str) -> bool:
    """Whether this filter is the one in use."""
    chosen = seat.session.sieve.filter
    return chosen is not None and chosen.text == text


@scenario("filter.apply_as")
async def _(seat: Seat, key: str) -> None:
    imei = 'qmi.dms.get_ids.imei == "001012345678901"'
    expected = {
        How.SELECTED: imei,
        How.NOT: f"!({imei})",
        How.AND: f"(qmi) and ({imei})",
        How.OR: f"(qmi) or ({imei})",
        How.AND_NOT: f"(qmi) and (!({imei}))",
        How.OR_NOT: f"(qmi) or (!({imei}))",
    }
    for letter, how in enumerate(How, 1):
        await seat.filter("qmi")
        await seat.select(IDS)
        seat.details.focus()
        await seat.select_field("qmi.dms.get_ids.imei")
        await seat.press(key)
        assert isinstance(seat.app.screen, ChooseScreen)
        options = seat.app.screen.query_one(OptionList)
        assert options.outer_size.width >= len(f"Apply as filter: {imei}") + 6  # what will be applied is read in full
        await seat.press(str(letter))
        assert isinstance(seat.app.screen, MainScreen)
        await seat.until(partial(applied, seat, expected[how]), how.name)


@scenario("filter.prepare_as")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    while seat.packets.column is not None and seat.packets.column.id != "source":
        await seat.press("left")
    await seat.press(key, "1")
    assert seat.main.bar.text == "qrtr.src_node == 0 && qrtr.src_port == 0xa"
    assert isinstance(seat.main.focused, FilterInput)
    assert seat.session.sieve.filter is None


@scenario("filter.save")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.type == request")
    await seat.press(key)
    assert isinstance(seat.app.screen, AskScreen)
    await seat.press("enter")
    assert isinstance(seat.app.screen, AskScreen) and said(seat.app) == "Name it."
    await seat.press(*"asks", "enter")
    assert load_filters() == {"asks": "qmi.type == request"}
    await seat.press("X")
    await seat.until(lambda: seat.main.bar.text == "")
    await seat.press(key, *"ask", "enter")
    assert isinstance(seat.app.screen, AskScreen) and said(seat.app) == "No filter has that name."
    await seat.press("s", "enter")
    assert load_filters() == {}


@scenario("filter.saved")
async def _(seat: Seat, key: str) -> None:
    await seat.press(key)
    assert isinstance(seat.app.screen, MainScreen)  # there is none
    save_filters({"all": "qmi", "asks": "qmi.type == request"})
    await seat.press(key, "2")
    await seat.until(lambda: list(seat.packets.rows) == [IDS_ASKED, SERVING_ASKED])


# ---- the two small questions ----


async def choosing(seat: Seat) -> ChooseScreen:
    save_filters({"all": "qmi", "asks": "qmi.type == request"})
    await seat.press("d")
    screen = seat.app.screen
    assert isinstance(screen, ChooseScreen)
    return screen


@scenario("choose.cancel")
async def _(seat: Seat, key: str) -> None:
    await choosing(seat)
    await seat.press(key)
    assert isinstance(seat.app.screen, MainScreen) and seat.session.sieve.filter is None


@scenario("choose.down")
async def _(seat: Seat, key: str) -> None:
    await choosing(seat)
    await seat.press(key, "enter")
    await seat.until(lambda: seat.main.bar.text == "qmi.type == request")


@scenario("choose.up")
async def _(seat: Seat, key: str) -> None:
    await choosing(seat)
    await seat.press("down", "down", key, "enter")
    await seat.until(lambda: seat.main.bar.text != "")


@scenario("ask.take")
async def _(seat: Seat, key: str) -> None:
    suggestions = await asked_for_a_column(seat, "imei")
    assert suggestions.option_count > 1 and suggestions.highlighted is None
    await seat.press(key, key)
    chosen = seat.app.screen.query_one(Input).value
    assert chosen.startswith("qmi.") and "imei" in chosen and not suggestions.display
    await seat.press("enter")
    assert isinstance(seat.app.screen, MainScreen) and chosen in [column.id for column in seat.packets.columns]


@scenario("ask.down")
async def _(seat: Seat, key: str) -> None:
    suggestions = await asked_for_a_column(seat, "get_ids.imei")
    await seat.press(key, key)
    assert suggestions.highlighted == 1
    await seat.press("enter")  # the chosen one is the answer
    added = [column.id for column in seat.packets.columns if "." in column.id]
    assert isinstance(seat.app.screen, MainScreen) and added == ["qmi.dms.get_ids.imei_software_version"]


@scenario("ask.up")
async def _(seat: Seat, key: str) -> None:
    suggestions = await asked_for_a_column(seat, "get_ids.imei")
    await seat.press("down", "down", key)
    assert suggestions.highlighted == 0


async def asked_for_a_column(seat: Seat, text: str) -> Suggestions:
    """Be asked for the field of a column, and type."""
    await seat.press("A")
    screen = seat.app.screen
    assert isinstance(screen, AskScreen)
    screen.query_one(Input).value = text
    await seat.until(lambda: screen.query_one(Suggestions).display, "fields are offered")
    return screen.query_one(Suggestions)


@scenario("ask.cancel")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi")
    await seat.press("D", "x", key)
    assert isinstance(seat.app.screen, MainScreen) and load_filters() == {}
