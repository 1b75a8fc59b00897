# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from qmisniff.dissect import Summary
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from tests.factories import qmi
from tests.tui.conversation import IDS, SERVING_REFUSED, SIGNAL, conversation, from_modem
from tests.tui.scripted import seated, shown


async def test_rows_as_wireshark_users_know_them() -> None:
    async with seated(size=(120, 40)) as seat:
        lines = shown(seat.packets)
        assert lines[0].split() == [
            "No.", "Time", "Source", "Destination", "Protocol", "Length", "Process", "Info"
        ]  # fmt: skip
        assert lines[1].startswith("S       1    0.000000 0:CTRL")
        assert "(synthetic)" in lines[1] and "NEW_SERVER DMS" in lines[1]
        assert lines[1 + IDS].split()[:7] == ["4", "0.012500", "0:10", "1:0x4001", "QMI_DMS", "68", "kworker/0:1[17]"]
        assert "Response: Get IDs" in lines[1 + IDS]
        assert lines[1 + SERVING_REFUSED].startswith(("N", "E", "W"))
        assert lines[1 + SIGNAL].startswith(" ")


async def test_only_what_is_visible_is_dissected(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [from_modem(qmi(4, 1, 0x51), 11, at) for at in range(20_000)]
    async with seated(frames, size=(100, 24)) as seat:
        asked: list[int] = []
        dissector = seat.session.dissector
        summary = dissector.summary

        def counted(frame: Frame, context: Context) -> Summary:
            asked.append(context.number)
            return summary(frame, context)

        monkeypatch.setattr(dissector, "summary", counted)
        await seat.press("end")
        assert max(asked) == 20_000
        assert len(asked) <= seat.packets.page + 1
        await seat.press("k", "k", "j")
        assert len(asked) <= seat.packets.page + 1  # kept


async def test_a_click_selects_and_the_wheel_only_looks() -> None:
    frames = [from_modem(qmi(4, 1, 0x51), 11, at) for at in range(100)]
    async with seated(frames, live=True, size=(100, 30)) as seat:
        await seat.until(lambda: seat.packets.selected == 99)
        bottom = seat.packets.scroll_offset.y
        await seat.pilot._post_mouse_events(  # the pilot has no public wheel
            [__import__("textual.events", fromlist=["x"]).MouseScrollUp], seat.packets, (5, 3)
        )
        await seat.until(lambda: seat.packets.scroll_offset.y < bottom)
        assert seat.packets.selected == 99
        assert not seat.packets.follow
        top = seat.packets.scroll_offset.y
        await seat.pilot.click(seat.packets, offset=(5, 3))
        assert seat.packets.selected == top + 2
        await seat.pilot.click(seat.packets, offset=(5, 0))  # the titles are no packet
        assert seat.packets.selected == top + 2


async def test_a_click_below_the_last_packet_selects_nothing() -> None:
    async with seated(size=(100, 40)) as seat:
        await seat.select(2)
        await seat.pilot.click(seat.packets, offset=(5, 1 + len(conversation())))
        assert seat.packets.selected == 2


async def test_the_cursor_is_always_visible() -> None:
    frames = [from_modem(qmi(4, 1, 0x51), 11, at) for at in range(1000)]
    async with seated(frames, size=(100, 24)) as seat:
        for key in ("end", "pageup", "k", "home", "pagedown", "G", "g"):
            await seat.press(key)
            top, line = seat.packets.scroll_offset.y, seat.packets.cursor_line
            assert top <= line < top + seat.packets.page, key
        await seat.press("end")
        await seat.pilot.resize_terminal(100, 12)
        await seat.pilot.pause()
        assert f" {1000} " in shown(seat.packets)[-1]


async def test_a_packet_that_one_jumps_to_is_seen_among_its_neighbours() -> None:
    frames = [from_modem(qmi(4, 1, 0x51), 11, at) for at in range(1000)]
    async with seated(frames, size=(100, 24)) as seat:
        for row in (500, 501, 100, 998):
            await seat.select(row)
            lines = [int(line.split()[0]) for line in shown(seat.packets)[1:]]
            assert row in lines[:-1] and row + 2 in lines, (row, lines)


async def test_rows_that_a_filter_left() -> None:
    async with seated() as seat:
        seat.packets.show_rows([1, IDS, SIGNAL])
        assert seat.packets.move_to_row(IDS)
        assert seat.packets.cursor_line == 1
        assert not seat.packets.move_to_row(2)
        assert seat.packets.selected == IDS
        await seat.pilot.pause()
        assert [line.split()[0] for line in shown(seat.packets)[2:4]] == ["4", "7"]
