# SPDX-License-Identifier: GPL-2.0-or-later
"""What the views do besides their commands: keep up with a capture, stay in any terminal, survive anything."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from rich.segment import Segment

from qmisniff.analysis import tables
from qmisniff.analysis.rows import Cancel
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.frame import Frame
from qmisniff.store import Store
from qmisniff.tui.views import VIEWS, View, view_screen
from qmisniff.tui.views.follow import FollowScreen
from qmisniff.tui.views.problems import ProblemsScreen
from qmisniff.tui.views.statistics import StatisticsScreen
from qmisniff.tui.views.transactions import TransactionsScreen
from qmisniff.tui.views.view_screen import ViewScreen
from tests import factories as make
from tests.tui.conversation import CLIENT, DMS_PORT, IDS, NOT_SUPPORTED, OK, conversation, from_modem
from tests.tui.scripted import Seat, seated, shown
from tests.tui.views.opened import cells, opened


def pair(txn: int, at_ms: float, *tlvs: bytes) -> list[Frame]:
    """A request for the IDs with its response."""
    asked = make.qrtr(make.qmi(0, txn, 0x25), CLIENT, (make.MODEM, DMS_PORT))
    return [make.frame(asked, at_ms), from_modem(make.qmi(2, txn, 0x25, *tlvs), DMS_PORT, at_ms + 9)]


async def test_a_table_grows_with_the_capture_and_the_cursor_stays_on_its_row() -> None:
    async with seated(live=True) as seat:
        screen = await opened(seat, "2", TransactionsScreen)
        await seat.press("down")
        on = cells(screen, "request")[1]
        seat.script.give([frame for txn in range(9) for frame in pair(50 + txn, 100 + 20 * txn, OK)])
        await seat.until(lambda: len(screen.pane.order) == 11, "the new ones are there")
        assert cells(screen, "request")[screen.pane.cursor_line] == on
        assert screen.pane.cursor_line == 10  # slower ones have come above it
        seat.script.end()


async def test_one_view_leads_to_another_and_back_to_the_packets() -> None:
    async with seated() as seat:
        await seat.press("1")
        transactions = await opened(seat, "2", TransactionsScreen)
        assert cells(transactions, "message") == ["Get IDs", "Get Serving System"]
        await opened(seat, "4", StatisticsScreen)
        await seat.press("escape")
        assert seat.app.screen is seat.main and not transactions.is_attached


async def test_a_fast_capture_is_counted_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[float] = []

    def count(store: Store, dissector: Dissector, rows: Sequence[int], cancel: Cancel) -> Table:
        counted.append(time.monotonic())
        return original(store, dissector, rows, cancel)

    original = tables.SUBJECTS["transactions"]
    monkeypatch.setitem(tables.SUBJECTS, "transactions", count)
    monkeypatch.setattr(view_screen, "_LOOKS_PER_S", 50)
    async with seated(live=True) as seat:
        screen = await opened(seat, "2", TransactionsScreen)
        for txn in range(30):
            seat.script.give(pair(50 + txn, 100 + 20 * txn, OK))
            await seat.pilot.pause(0.05)
        await seat.until(lambda: len(screen.pane.order) == 32, "all are counted in the end")
        assert len(counted) >= 2
        assert min(b - a for a, b in pairwise(counted)) >= view_screen._LEAST_S
        seat.script.end()


async def test_problems_of_new_packets_are_added_to_those_known() -> None:
    async with seated(live=True) as seat:
        screen = await opened(seat, "7", ProblemsScreen)
        await seat.until(lambda: screen.looked_at == len(conversation()), "all were looked at")
        seat.script.give(pair(60, 100, NOT_SUPPORTED))
        await seat.until(lambda: screen.looked_at == len(conversation()) + 2, "the new ones too")
        await seat.until(lambda: cells(screen, "count") == ["2"], "and are counted")
        seat.script.end()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_every_view_fits_every_terminal(view: View) -> None:
    async with seated(size=(80, 24)) as seat:
        await see_through(seat, view.key)
        for size in ((40, 10), (20, 5), (5, 2), (120, 40)):
            await seat.pilot.resize_terminal(*size)
            await move_about(seat)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_every_view_of_nothing_can_be_looked_at(view: View) -> None:
    async with seated([]) as seat:
        await see_through(seat, view.key)


async def see_through(seat: Seat, key: str) -> None:
    """Open a view and move about in it."""
    await seat.press(key)
    screen = next(each for each in reversed(seat.app.screen_stack) if isinstance(each, ViewScreen))
    if screen is not seat.app.screen:
        await seat.press("escape")  # what the view asked
    await seat.until(lambda: not screen.working, "the answer has come")
    await move_about(seat)


async def move_about(seat: Seat) -> None:
    screen = seat.app.screen
    await seat.press("down", "end", "right", "s", "up", "home", "greater_than_sign")
    assert seat.app.screen is screen and isinstance(screen, ViewScreen)
    painted = [shown(widget) for widget in screen.query("#table, #text, #view")]
    assert painted and all(len(line) <= seat.app.size.width for lines in painted for line in lines)


async def test_texts_out_of_packets_cannot_act_on_the_terminal() -> None:
    frames = conversation()
    frames[2] = frames[2]._replace(comm="[b]\x1b[31m\n")
    async with seated(frames) as seat:
        screen = await opened(seat, "2", TransactionsScreen)
        (line,) = [line for line in shown(screen.pane) if "31m" in line]
        assert "[b]\\x1b[31m\\n[321]" in line
        await seat.press("w")
        assert not any("\x1b" in segment.text for y in range(3) for segment in strip(seat, y))


def strip(seat: Seat, y: int) -> list[Segment]:
    return list(seat.app.screen.query_one("#question").render_line(y))


async def test_a_view_that_fails_leaves_the_program_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Table:
        raise ZeroDivisionError("[a mistake]")

    monkeypatch.setitem(tables.SUBJECTS, "transactions", broken)
    async with seated() as seat:
        await seat.press("2")
        screen = seat.app.screen
        await seat.until(lambda: "ZeroDivisionError: [a mistake]" in shown(screen.query_one("#view"))[0], "it is said")
        await seat.press("q")
        assert seat.app.screen is seat.main


async def test_a_file_that_cannot_be_written_is_told() -> None:
    async with seated(notes=("",)) as seat:
        await opened(seat, "2", TransactionsScreen)
        await seat.press("w")
        seat.app.screen.query_one("Input").value = "/proc/nothing.csv"  # type: ignore[attr-defined]
        await seat.press("enter")
        await seat.until(lambda: any("/proc/nothing.csv" in each.message for each in seat.app._notifications), "told")


async def test_clicking_a_title_sorts_and_clicking_a_row_goes_to_it() -> None:
    async with seated() as seat:
        screen = await opened(seat, "2", TransactionsScreen)
        await seat.pilot.click("#table", offset=(12, 0))
        assert screen.pane.sort == ("service", False)
        await seat.pilot.click("#table", offset=(3, 2))
        assert screen.pane.cursor_line == 1


async def test_the_rate_counts_every_packet_and_those_of_the_message() -> None:
    async with seated() as seat:
        screen = await opened(seat, "4", StatisticsScreen)
        await seat.until(lambda: len(screen.plot.curves) == 2, "drawn")
        everything, message = screen.plot.curves
        assert everything.values.sum() == len(conversation()) and message.values.sum() == 2
        stretch = float(everything.seconds[1] - everything.seconds[0])
        assert screen.plot.border_title == f"packets per {stretch:g} s over seconds"


async def test_a_plot_takes_the_colours_of_the_theme() -> None:
    async with seated() as seat:
        screen = await opened(seat, "4", StatisticsScreen)
        await seat.until(lambda: len(screen.plot.curves) == 2, "drawn")
        seat.app.theme = "textual-light"
        await seat.pilot.pause()
        assert seat.app.theme_variables["text-primary"] in {each.line_style for each in screen.plot._datasets}  # type: ignore[attr-defined]


async def test_following_a_long_conversation_says_how_much_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmisniff.tui.views.follow.MOST", 2)
    async with seated([*conversation(), *pair(70, 200, OK)]) as seat:
        await seat.select(IDS)
        screen = await opened(seat, "6", FollowScreen)
        assert "the first 2 of 4 packets" in shown(screen.query_one("#view"))[0]
        assert len(screen.followed.starts) == 2


async def test_what_is_found_stands_out() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        screen = await opened(seat, "6", FollowScreen)
        assert screen.pane.seek("Imei", 1)
        line = screen.pane.line(screen.pane.cursor_line)
        found = screen.pane.get_component_rich_style("text-pane--found")
        assert [segment.text.casefold() for segment in line if segment.style == found] == ["imei"]
        assert not screen.pane.seek("nowhere to be found", 1)


def test_plots_are_imported_when_a_view_with_one_is_opened() -> None:
    code = "import sys, qmisniff.tui.app, qmisniff.tui.views; print('textual_plot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
