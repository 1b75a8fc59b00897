# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of the views' commands."""

from __future__ import annotations

import io
import json
from pathlib import Path

from textual.widgets import Input

from qmisniff.export import Detail, open_format
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.suggestions import Suggestions
from qmisniff.tui.views.conversations import ConversationsScreen
from qmisniff.tui.views.follow import FollowScreen
from qmisniff.tui.views.problems import ProblemsScreen
from qmisniff.tui.views.services import ServicesScreen
from qmisniff.tui.views.statistics import StatisticsScreen
from qmisniff.tui.views.transactions import TransactionsScreen
from qmisniff.tui.views.values import ValuesScreen
from tests.tui.conversation import IDS, IDS_ASKED, SERVING_ASKED, SERVING_REFUSED, SIGNAL
from tests.tui.scenarios import scenario
from tests.tui.scripted import Seat, said, shown
from tests.tui.views.opened import answered, cells, opened

RSRP = "qmi.nas.signal_info.lte.rsrp"


async def typed(seat: Seat, text: str) -> None:
    """Answer what is asked."""
    screen = seat.app.screen
    assert isinstance(screen, AskScreen)
    field = screen.query_one("Input")
    field.value = text  # type: ignore[attr-defined]
    await seat.press("enter")


# ---- opening ----


@scenario("view.services")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, key, ServicesScreen)
    assert cells(screen, "service") == ["DMS", "NAS"]
    assert cells(screen, "address") == ["0:10", "0:11"]
    assert cells(screen, "packets") == ["2", "3"]


@scenario("view.transactions")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, key, TransactionsScreen)
    assert cells(screen, "message") == ["Get IDs", "Get Serving System"]
    assert cells(screen, "outcome") == ["ok", "failed"]


@scenario("view.conversations")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, key, ConversationsScreen)
    assert cells(screen, "service") == ["NAS", "DMS"]  # the busiest on top
    assert cells(screen, "client_processes") == ["qmicli[321]"] * 2


@scenario("view.statistics")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, key, StatisticsScreen)
    assert cells(screen, "message") == ["Get IDs", "Get Serving System", "Signal Info"]
    await seat.until(lambda: [each.label for each in screen.plot.curves] == ["all packets", "DMS Get IDs"], "drawn")
    await seat.press("down")
    await seat.until(lambda: screen.plot.curves[1].label == "NAS Get Serving System", "the next one is drawn")


@scenario("view.values")
async def _(seat: Seat, key: str) -> None:
    await seat.select(SIGNAL)
    await seat.select_field(RSRP)
    screen = await opened(seat, key, ValuesScreen)
    assert screen.field_name == RSRP
    assert cells(screen, "value") == ["-97 dBm"] and cells(screen, "frame") == [str(SIGNAL + 1)]
    assert screen.plot.curves[0].values.tolist() == [-97]


@scenario("view.follow")
async def _(seat: Seat, key: str) -> None:
    await seat.select(IDS)
    screen = await opened(seat, key, FollowScreen)
    assert screen.followed.rows == [IDS_ASKED, IDS]
    assert any("001012345678901" in line for line in screen.followed.lines)


@scenario("view.problems")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, key, ProblemsScreen)
    await seat.until(lambda: screen.looked_at == len(seat.session.store), "all were looked at")
    assert cells(screen, "text") == ["the request failed: NOT_SUPPORTED (94)"]


# ---- in every view ----


@scenario("view.close")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "2", TransactionsScreen)
    await seat.press(key)
    assert seat.app.screen is seat.main


@scenario("view.scope")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.service == nas")
    screen = await opened(seat, "2", TransactionsScreen)
    assert cells(screen, "service") == ["NAS"]  # what is shown counts
    await seat.press(key)
    await seat.until(lambda: cells(screen, "service") == ["DMS", "NAS"], "all packets count")
    assert "all packets" in shown(screen.query_one("#view"))[0]
    await seat.press(key)
    await seat.until(lambda: cells(screen, "service") == ["NAS"], "the filter's again")
    assert "filter: qmi.service == nas" in shown(screen.query_one("#view"))[0]


# ---- in tables ----


@scenario("table.right")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "2", TransactionsScreen)
    await seat.press(key)
    assert screen.pane.column is not None and screen.pane.column.name == "service"


@scenario("table.left")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "2", TransactionsScreen)
    screen.pane.action_column(100)
    await seat.pilot.pause()
    assert screen.pane.scroll_offset.x > 0  # what was out of sight is seen
    assert screen.pane.column is not None and screen.pane.column.name == "server"
    await seat.press(key)
    assert screen.pane.column.name == "client"


@scenario("table.sort")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "2", TransactionsScreen)
    await seat.press("end")
    screen.pane.action_column(2)
    await seat.press(key)
    assert cells(screen, "message") == ["Get IDs", "Get Serving System"] and screen.pane.sort == ("message", False)
    await seat.press(key)
    assert cells(screen, "message") == ["Get Serving System", "Get IDs"]
    assert "Message▼" in shown(screen.pane)[0]
    assert screen.pane.cursor_line == 0  # on the row it was on


@scenario("table.open")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "2", TransactionsScreen)
    await seat.press("down", key)
    assert seat.app.screen is seat.main
    await seat.until(lambda: seat.packets.selected == SERVING_ASKED, "the packet is selected")


@scenario("table.follow")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "2", TransactionsScreen)
    await seat.press("down", key)
    screen = seat.app.screen
    assert isinstance(screen, FollowScreen)
    await seat.until(lambda: screen.followed.rows == [SERVING_ASKED, SERVING_REFUSED, SIGNAL], "the conversation")
    await seat.press("escape")
    assert isinstance(seat.app.screen, TransactionsScreen)


@scenario("table.filter")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi")
    screen = await opened(seat, "4", StatisticsScreen)
    assert cells(screen, "message")[0] == "Get IDs"
    await seat.press(key)
    assert seat.app.screen is seat.main
    await seat.until(lambda: list(seat.packets.rows) == [IDS_ASKED, IDS], "only those")
    assert seat.main.bar.text == "qmi.service == 2 and qmi.msgid == 0x0025 and qmi.type != 2"


@scenario("table.filter_and")
async def _(seat: Seat, key: str) -> None:
    await seat.filter("qmi.type == response")
    await opened(seat, "4", StatisticsScreen)
    await seat.press(key)
    await seat.until(lambda: list(seat.packets.rows) == [IDS], "of the responses, those")
    assert seat.main.bar.text.startswith("(qmi.type == response) and (")


@scenario("table.copy")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "1", ServicesScreen)
    await seat.press(key)
    assert seat.app.clipboard.startswith("DMS\t1\t0\t\t0:10\t")


@scenario("table.copy_filter")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "2", TransactionsScreen)
    await seat.press(key)
    assert seat.app.clipboard == "frame.number in {3, 4}"


@scenario("table.write")
async def _(seat: Seat, key: str) -> None:
    await opened(seat, "2", TransactionsScreen)
    await seat.press(key)
    await typed(seat, "")
    assert isinstance(seat.app.screen, AskScreen)  # without a name nothing is written
    await typed(seat, "pairs.json")
    await seat.until(lambda: Path("pairs.json").exists() and Path("pairs.json").read_text().endswith("]\n"), "written")
    assert [row["message"] for row in json.loads(Path("pairs.json").read_text())] == ["Get IDs", "Get Serving System"]
    await seat.press(key)
    await typed(seat, "pairs.json")
    assert isinstance(seat.app.screen, AskScreen) and "exists" in said(seat.app)
    await typed(seat, "pairs.csv")
    await seat.until(lambda: Path("pairs.csv").exists() and Path("pairs.csv").read_text().count("\n") == 3, "as CSV")
    assert Path("pairs.csv").read_text().startswith("request,service,service_id,message,")


@scenario("table.next")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "1", ServicesScreen)
    await seat.press(key, key)
    await seat.until(lambda: cells(screen, "node") == ["0", "1"] if screen.subject == "nodes" else False, "the nodes")


@scenario("table.previous")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "1", ServicesScreen)
    await seat.press(key)
    await answered(seat, screen)
    assert screen.subject == "nodes" and cells(screen, "node") == ["0", "1"]


# ---- in one view only ----


@scenario("values.field")
async def _(seat: Seat, key: str) -> None:
    await seat.press("5")  # no number is selected: the view asks at once
    screen = seat.app.screen_stack[-2]
    assert isinstance(screen, ValuesScreen)
    await seat.press("escape", key)
    await typed(seat, "qmi.nas.nothing")
    assert isinstance(seat.app.screen, AskScreen) and "there is no field" in said(seat.app)
    question = seat.app.screen.query_one(Suggestions)
    seat.app.screen.query_one(Input).value = "mi.tx"
    await seat.until(lambda: question.display and question.option_count == 1, "the only field")
    await seat.press("down", "enter")
    await seat.until(lambda: screen.pane.table is not None and screen.pane.table.length == 5, "its values")
    assert cells(screen, "value") == ["1", "1", "2", "2", "1"]


@scenario("problems.stop")
async def _(seat: Seat, key: str) -> None:
    screen = await opened(seat, "7", ProblemsScreen)
    await seat.press(key)
    await seat.until(lambda: "stopped" in shown(screen.query_one("#view"))[0], "it says so")
    await seat.press(key)
    await seat.until(lambda: screen.looked_at == len(seat.session.store) and not screen.stopped, "it has gone on")


async def following(seat: Seat, row: int = SERVING_REFUSED) -> FollowScreen:
    await seat.select(row)
    return await opened(seat, "6", FollowScreen)


@scenario("follow.extent")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    assert screen.followed.rows == [SERVING_ASKED, SERVING_REFUSED, SIGNAL]
    await seat.press(key)
    await seat.until(lambda: screen.followed.rows == [SERVING_ASKED, SERVING_REFUSED], "the transaction")


@scenario("follow.headers")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    without = screen.pane.lines
    layers = [line.partition(":")[0] for line in without if line and not line.startswith(" ")]
    assert layers == ["QMI"] * 3, layers
    await seat.press(key)
    await seat.until(lambda: len(screen.pane.lines) > len(without), "headers")
    assert sum(line.startswith("QRTR: DATA") for line in screen.pane.lines) == 3
    out = io.StringIO()
    open_format("text", seat.session.dissector, out, Detail(tree=True)).rows(seat.session.store, screen.followed.rows)
    assert list(screen.pane.lines) == out.getvalue().splitlines()  # as `read -V` prints them
    await seat.press(key)
    await seat.until(lambda: screen.pane.lines == without, "none once more")


@scenario("follow.find")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    await seat.press(key)
    await typed(seat, "not_SUPPORTED")
    assert "NOT_SUPPORTED" in screen.pane.lines[screen.pane.cursor_line]


@scenario("follow.next")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    screen.pane.seek("    Service: ", 1)
    first = screen.pane.cursor_line
    await seat.press(key, key)
    assert screen.pane.lines[screen.pane.cursor_line].startswith("    Service: ") and screen.pane.cursor_line > first
    await seat.press(key)
    assert screen.pane.cursor_line == first  # round again


@scenario("follow.before")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    screen.pane.seek("    Service: ", 1)
    first = screen.pane.cursor_line
    await seat.press(key)
    assert screen.pane.cursor_line > first  # the last one


@scenario("follow.open")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    await seat.press("end", key)
    assert screen.followed.rows[-1] == SIGNAL and seat.app.screen is seat.main
    await seat.until(lambda: seat.packets.selected == SIGNAL, "the packet of the last line")


@scenario("follow.write")
async def _(seat: Seat, key: str) -> None:
    screen = await following(seat)
    await seat.press(key)
    await typed(seat, "talk.txt")
    written = "".join(f"{line}\n" for line in screen.followed.lines)
    await seat.until(lambda: Path("talk.txt").exists() and Path("talk.txt").read_text() == written, "written")
