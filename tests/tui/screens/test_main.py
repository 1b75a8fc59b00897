# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import time

import pytest
from textual.widgets import Footer
from textual.widgets._toast import Toast

from qmisniff.errors import SourceFailed
from qmisniff.tui.screens.desk import UPDATES_PER_S
from tests.factories import MODEM, NEW_SERVER, frame, qmi, qrtr, server, tlv
from tests.tui.conversation import (
    CLIENT,
    DMS,
    DMS_PORT,
    GET_IDS,
    IDS,
    IDS_ASKED,
    IMEI,
    OK,
    SIGNAL,
    conversation,
    from_modem,
)
from tests.tui.scripted import Seat, seated, shown


def text(seat: Seat) -> str:
    """All that is on the main screen."""
    widgets = (seat.capture_line, seat.packets, seat.details, seat.bytes, seat.field_line)
    return "\n".join(line for widget in widgets if widget.region.area for line in shown(widget))


async def test_the_imei_is_decoded_and_its_bytes_stand_out() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        await seat.select_field("qmi.dms.get_ids.imei")
        start = seat.bytes.data.index(IMEI)
        assert seat.bytes.highlighted == range(start, start + len(IMEI))
        assert seat.bytes.cursor_offset == start
        line = shown(seat.details)[seat.details.cursor_line - seat.details.scroll_offset.y]
        assert f"imei: {IMEI.decode()}" in line
        assert f"qmi.dms.get_ids.imei  15 bytes at {start}" in shown(seat.field_line)[0]


async def test_every_byte_leads_to_the_innermost_field_and_back() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        for offset in range(len(seat.bytes.data)):
            seat.bytes.move_to_byte(offset)
            await seat.pilot.pause()
            field = seat.details.field
            assert field is not None
            assert field.offset <= offset < field.offset + field.size
            assert not any(child.offset <= offset < child.offset + child.size for child in field.children)
            await seat.pilot.pause()
            assert seat.bytes.highlighted == range(field.offset, field.offset + field.size)
            assert seat.bytes.cursor_offset == offset


async def test_a_request_learns_of_its_response_while_it_is_looked_at() -> None:
    before = conversation()
    async with seated(before[: IDS_ASKED + 1], live=True) as seat:
        await seat.press("k", "j")
        seat.packets.follow = False
        assert "qmi.response_in" not in seat.details.names
        seat.script.give(before[IDS : IDS + 1])
        await seat.until(lambda: "qmi.response_in" in seat.details.names, "the response is named")
        assert seat.packets.selected == IDS_ASKED


async def test_live_traffic_is_followed_until_the_user_looks_back() -> None:
    async with seated(live=True) as seat:
        more = [from_modem(qmi(2, txn, GET_IDS, OK, tlv(0x11, b"%d" % txn)), DMS_PORT, 40 + txn) for txn in range(300)]
        seat.script.give(more[:100])
        await seat.until(lambda: seat.packets.selected == 106, "the newest is selected")
        assert "     107 " in shown(seat.packets)[-1] or " 107 " in shown(seat.packets)[-1]
        assert "following" in shown(seat.capture_line)[0]
        await seat.press("k")
        seat.script.give(more[100:200])
        await seat.until(lambda: len(seat.packets.rows) == 207)
        assert seat.packets.selected == 105
        assert "not following" in shown(seat.capture_line)[0]
        await seat.press("end")
        seat.script.give(more[200:])
        await seat.until(lambda: seat.packets.selected == 306, "it is followed again")


async def test_a_source_that_dies_is_a_message_and_nothing_is_lost() -> None:
    async with seated(live=True, size=(100, 30)) as seat:
        seat.script.fail(SourceFailed("the pipe broke", "start again"))
        await seat.until(lambda: "the pipe broke (start again)" in shown(seat.capture_line)[0])
        assert "stopped" in shown(seat.capture_line)[0]
        assert len(seat.packets.rows) == len(conversation())
        await seat.press("home", "j")
        assert seat.packets.selected == 1


async def test_a_bug_in_a_source_is_a_message_too() -> None:
    async with seated(live=True) as seat:
        seat.script.fail(ZeroDivisionError("[red]oops\x1b[2J"))
        await seat.until(lambda: r"ZeroDivisionError: [red]oops\x1b[2J" in shown(seat.capture_line)[0])


async def test_a_damaged_file_says_so() -> None:
    async with seated() as seat:
        seat.script.damage = "cut short at offset 100"
        await seat.until(lambda: "cut short at offset 100" in shown(seat.capture_line)[0])


async def test_what_was_lost_is_never_silent() -> None:
    async with seated(live=True) as seat:
        assert "0 lost" in shown(seat.capture_line)[0]
        seat.script.lost = 1234
        seat.script.give([from_modem(qmi(4, 1, 0x51), 11, 50, lost=1234)])
        await seat.until(lambda: "1,234 lost" in shown(seat.capture_line)[0])
        await seat.until(lambda: shown(seat.packets)[-1].startswith("L") or any(
            line.startswith("L") for line in shown(seat.packets)), "the row is marked")  # fmt: skip


HOSTILE = "[bold]\x1b[31mred\x9b2J\u202ekcab\u200b\n[/]"


async def test_text_of_packets_is_never_markup_nor_an_escape() -> None:
    frames = [
        frame(server(NEW_SERVER, DMS, 1, MODEM, DMS_PORT), 0, comm=HOSTILE),
        frame(qrtr(qmi(2, 1, GET_IDS, OK, tlv(0x11, HOSTILE.encode())), (MODEM, DMS_PORT), CLIENT), 1, comm=HOSTILE),
    ]
    async with seated(frames, size=(200, 50)) as seat:
        await seat.select(1)
        await seat.press("tab", "E")
        seen = text(seat)
        assert seen.count("[bold]") >= 3  # the list, the process, the IMEI
        assert r"\x1b[31mred" in seen
        for char in "\x1b\x9b\u202e\u200b":
            assert char not in seen


async def test_a_source_with_a_hostile_name_and_no_packets() -> None:
    async with seated([], live=True) as seat:
        seat.script.name = HOSTILE
        seat.script.end()
        await seat.until(lambda: r"[bold]\x1b[31mred" in shown(seat.packets)[0])
        assert "No packets came from" in shown(seat.packets)[0]
        assert "\x1b" not in text(seat)
        # Nothing is selected: no key may fail for that.
        for pane in (seat.packets, seat.details, seat.bytes):
            pane.focus()
            await seat.press(*"jkgGhlEC", "space", "pagedown", "pageup", "r", "f")


async def test_the_keys_are_shown() -> None:
    async with seated() as seat:
        keys = " ".join(str(key.render()) for key in seat.main.query_one(Footer).query("FooterKey"))
        for key in ("q Quit", "? Help", "tab Pane", "r Request/response"):
            assert key in " ".join(keys.split())


@pytest.mark.parametrize(("height", "footer", "field"), [(5, False, False), (10, True, False), (20, True, True)])
async def test_a_low_terminal_gives_its_lines_to_the_packets(height: int, footer: bool, field: bool) -> None:
    async with seated(size=(40, height)) as seat:
        assert seat.main.query_one(Footer).display is footer
        assert seat.field_line.display is field
        assert seat.packets.region.height >= 3


async def test_the_rate_of_painting_does_not_depend_on_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    async with seated(live=True) as seat:
        shows = []
        show_rows = seat.packets.show_rows

        def counted(rows: range) -> None:
            shows.append(len(rows))
            show_rows(rows)

        monkeypatch.setattr(seat.packets, "show_rows", counted)
        burst = [from_modem(qmi(4, 1, 0x51), 11, 50)] * 10
        began = time.monotonic()
        for _ in range(500):
            seat.script.give(burst)
        await seat.until(lambda: len(seat.packets.rows) == 5000 + len(conversation()))
        assert len(shows) <= UPDATES_PER_S * (time.monotonic() - began) + 2
        assert seat.packets.selected == 5000 + SIGNAL


async def test_what_a_source_has_to_say_is_shown_when_it_has_started() -> None:
    async with seated(live=True, notes=("not seen: [bold]\x1b[2J",)) as seat:
        assert "live" in shown(seat.capture_line)[0]
        toasts = seat.app.screen.query(Toast)
        await seat.until(lambda: len(toasts) == 1)
        assert str(toasts.first().render()) == r"not seen: [bold]\x1b[2J"
