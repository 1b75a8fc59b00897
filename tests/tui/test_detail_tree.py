# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from qmisniff.tui.screens.choose import ChooseScreen
from tests.tui.conversation import IDS, IDS_ASKED, SERVING_REFUSED, SIGNAL
from tests.tui.scripted import seated, shown


def heading(name: str, *children: Field, size: int = 0) -> Field:
    return Field(FieldSpec(name, name or "element", Kind.NONE), None, 0, size, list(children))


def number(name: str, offset: int, problem: Problem | None = None) -> Field:
    return Field(FieldSpec(name, name, Kind.UINT), 7, offset, 1, problem=problem)


async def test_what_was_opened_stays_open_from_packet_to_packet() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        await seat.press("tab")
        await seat.select_field("qrtr")
        await seat.press("space")
        await seat.select_field("qmi")
        await seat.press("space")
        await seat.select(SERVING_REFUSED)
        assert "qrtr.src_port" in seat.details.names
        assert "qmi" in seat.details.names
        assert "qmi.service" not in seat.details.names


async def test_the_cursor_stays_on_the_field_of_the_same_name() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        await seat.select_field("qmi.txn")
        await seat.select(SERVING_REFUSED)
        assert seat.details.names[seat.details.cursor_line] == "qmi.txn"
        await seat.select_field("qmi.response_to")
        await seat.select(IDS_ASKED)  # which is no response: its layer is the nearest
        assert seat.details.names[seat.details.cursor_line] == "qmi"
        await seat.select(SIGNAL)
        assert seat.bytes.highlighted == range(32, len(seat.bytes.data))


async def test_at_first_the_cursor_is_on_the_message_not_on_what_is_around_it() -> None:
    layers = [heading(name, size=size) for name, size in
              (("frame", 70), ("tap", 0), ("qrtr", 32), ("qmi", 35), ("qrtr.padding", 3))]  # fmt: skip
    async with seated() as seat:
        await seat.until(lambda: seat.details.names)
        assert seat.details.names[seat.details.cursor_line] == "qrtr.ctrl"
        seat.details.show(None)
        seat.details.show(heading("frame", *layers))
        assert seat.details.names[seat.details.cursor_line] == "qmi"
        seat.details.show(None)
        seat.details.show(heading("frame", *layers[:3]))
        assert seat.details.names[seat.details.cursor_line] == "qrtr"


async def test_elements_of_one_name_are_opened_one_by_one() -> None:
    elements = [heading("qmi.x.list", number("qmi.x.list.a", at)) for at in range(3)]
    async with seated() as seat:
        await seat.select(IDS)
        seat.details.show(heading("frame", heading("qmi", *elements)))
        seat.details.move_to_line(3)  # the second element
        seat.details.action_open_or_close()
        assert seat.details.names == ["qmi", *["qmi.x.list", "qmi.x.list.a"] * 1, "qmi.x.list", "qmi.x.list",
                                      "qmi.x.list.a"]  # fmt: skip
        seat.details.show(heading("frame", heading("qmi", *elements)))
        assert seat.details.names == ["qmi", "qmi.x.list", "qmi.x.list", "qmi.x.list"]


async def test_a_problem_is_in_words_beside_its_field() -> None:
    async with seated() as seat:
        for severity in Severity:
            problem = Problem(severity, "what is [wrong]", 0, 1)
            seat.details.show(heading("frame", heading("qmi", number("qmi.x", 0, problem))))
            await seat.pilot.pause()
            assert shown(seat.details)[1] == f"    qmi.x: 7 [{severity.name.lower()}: what is [wrong]]"
            await seat.select_field("qmi.x")
            assert f"{severity.name.lower()}: what is [wrong]" in shown(seat.field_line)[0]


async def test_a_click_selects_a_click_on_the_sign_and_a_double_click_open() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        line = seat.details.names.index("qrtr")
        await seat.pilot.click(seat.details, offset=(5, line))
        assert seat.details.cursor_line == line
        assert "qrtr.type" not in seat.details.names
        await seat.pilot.click(seat.details, offset=(0, line))
        assert "qrtr.type" in seat.details.names
        await seat.pilot.click(seat.details, offset=(0, line))
        assert "qrtr.type" not in seat.details.names
        await seat.pilot.double_click(seat.details, offset=(5, line))
        assert "qrtr.type" in seat.details.names
        await seat.pilot.click(seat.details, offset=(5, seat.details.size.height - 1))


async def test_a_tree_of_many_thousand_fields_makes_only_visible_lines() -> None:
    many = heading("qmi", *(number("qmi.x", at) for at in range(60_000)))
    async with seated() as seat:
        await seat.select(IDS)
        seat.details.show(heading("frame", many))
        seat.details.focus()
        made: list[int] = []
        line = seat.details.line
        seat.details.line = lambda number: made.append(number) or line(number)  # type: ignore[method-assign, func-returns-value]
        await seat.press("end")
        assert seat.details.cursor_line == 60_000
        assert len(made) < 200


async def test_a_bare_message_as_large_as_its_frame_is_not_hidden_by_it() -> None:
    value = number("qmi.x", 0)
    async with seated() as seat:
        await seat.select(IDS)
        seat.details.show(heading("root", heading("frame", size=4), heading("qmi", value, size=4), size=4))
        seat.details.select_at(0)
        assert seat.details.field is value
        seat.details.select_at(3)
        assert seat.details.names[seat.details.cursor_line] in ("frame", "qmi")
        seat.details.select_at(9)  # beyond everything: nothing happens


async def test_a_right_click_offers_what_can_be_done_with_the_field() -> None:
    async with seated() as seat:
        await seat.select(IDS)
        line = seat.details.names.index("qmi.service")
        await seat.pilot.click(seat.details, offset=(0, line), button=3)
        await seat.until(lambda: isinstance(seat.app.screen, ChooseScreen), "the menu")
        assert seat.details.cursor_line == line and seat.details.has_focus
        await seat.press("1", "1")  # apply as filter, selected
        await seat.until(lambda: len(seat.packets.rows) == 2, "the filter is applied")
        assert seat.main.bar.text == "qmi.service == 2"


async def test_a_right_click_on_a_column_title_does_not_sort() -> None:
    async with seated() as seat:
        await seat.pilot.click(seat.packets, offset=(10, 0), button=3)
        await seat.until(lambda: isinstance(seat.app.screen, ChooseScreen), "the menu")
        assert seat.packets.order is None
