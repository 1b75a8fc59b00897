# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from tests.tui.conversation import IDS
from tests.tui.scripted import Seat, seated, shown


async def dump(seat: Seat, data: bytes) -> list[str]:
    seat.bytes.show(data)
    await seat.pilot.pause()
    return shown(seat.bytes)


async def test_offset_hex_and_ascii() -> None:
    async with seated() as seat:
        lines = await dump(seat, bytes(range(0x30, 0x44)) + b"\0\x1b\x7f\xff")
        assert lines[0] == "0000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  0123456789:;<=>?"
        assert lines[1] == "0010  40 41 42 43 00 1b 7f ff                           @ABC...."
        assert lines[2] == ""


@pytest.mark.parametrize(("width", "count"), [(72, 16), (71, 8), (39, 8), (38, 4), (10, 4)])
async def test_fewer_bytes_a_line_where_it_is_narrow(width: int, count: int) -> None:
    async with seated(size=(width, 40)) as seat:
        lines = await dump(seat, bytes(32))
        assert seat.bytes.width == count
        assert len([line for line in lines if line]) == 32 // count
        assert not seat.bytes.max_scroll_x or width < 30


async def test_every_byte_can_be_clicked_in_hex_and_in_ascii() -> None:
    async with seated() as seat:
        data = bytes(range(0x41, 0x41 + 26))
        lines = await dump(seat, data)
        for offset, byte in enumerate(data):
            y = offset // 16
            for x in (lines[y].index(f"{byte:02x}", 6), lines[y].rindex(chr(byte))):
                assert seat.bytes.byte_at(x, y) == offset
        assert seat.bytes.byte_at(2, 0) is None  # the offset
        assert seat.bytes.byte_at(70, 1) is None  # beyond the last byte
        assert seat.bytes.byte_at(6, 2) is None


async def test_a_click_selects_the_field() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        offset = seat.bytes.data.index(b"0010123")
        await seat.pilot.click(seat.bytes, offset=(6 + 3 * (offset % 16) + (offset % 16 >= 8), offset // 16))
        await seat.until(lambda: seat.details.names[seat.details.cursor_line] == "qmi.dms.get_ids.imei")
        assert seat.bytes.cursor_offset == offset


async def test_the_bytes_of_the_field_have_another_style() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        await seat.select_field("qmi.dms.get_ids.imei")
        field = seat.bytes.highlighted
        plain = seat.bytes.get_component_rich_style("bytes-pane--byte")
        styles = {}
        for y in range(seat.bytes.line_count):
            segments = [each for each in seat.bytes.line(y) if len(each.text) == 2 and each.text.strip()]
            for column, segment in enumerate(segments):
                styles[16 * y + column] = segment.style
        assert {at for at, style in styles.items() if style != plain} == set(field)
        assert len(styles) == len(seat.bytes.data)


async def test_the_field_is_scrolled_into_view() -> None:
    async with seated(size=(100, 24)) as seat:
        await seat.select(IDS)
        seat.bytes.show(bytes(1000))
        seat.bytes.highlight(900, 4)
        top = seat.bytes.scroll_offset.y
        assert top <= 900 // 16 < top + seat.bytes.page
        seat.bytes.highlight(0, 1000)  # longer than the pane: its beginning
        assert seat.bytes.cursor_offset == 900  # the cursor is within, and stays
        seat.bytes.highlight(5000, 10)  # outside of the bytes: nothing stands out
        assert not seat.bytes.highlighted


async def test_no_bytes_at_all() -> None:
    async with seated() as seat:
        assert not any(await dump(seat, b""))
        seat.bytes.focus()
        await seat.press(*"jkhlgG", "pagedown", "pageup")
        assert seat.bytes.cursor_offset == 0


async def test_the_offset_grows_with_a_packet_of_more_than_64_kibibytes() -> None:
    async with seated() as seat:
        assert (await dump(seat, bytes(0x10000)))[0].startswith("0000  00")
        assert (await dump(seat, bytes(0x10001)))[0].startswith("000000  00")


async def test_the_scroll_bar_says_where_the_view_is_from_the_first() -> None:
    async with seated(size=(80, 24)) as seat:
        await seat.select(IDS)  # its message lies below what is seen, and before it there was nothing to scroll
        await seat.until(lambda: seat.bytes.show_vertical_scrollbar and seat.bytes.scroll_y > 0, "it is shown")
        assert seat.bytes.vertical_scrollbar.position == seat.bytes.scroll_y
