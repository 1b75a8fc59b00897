# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from qmisniff.tui.feed import Progress
from qmisniff.tui.status import Standing, capture_parts, field_parts
from tests.tui.scripted import seated, shown

IMEI = FieldSpec("qmi.dms.get_ids.imei", "imei", Kind.STRING)


@pytest.mark.parametrize(("live", "running", "name"), [
    (True, True, "kernel (live)"), (True, False, "kernel (stopped)"), (False, True, "kernel (loading)"),
    (False, False, "kernel"),
])  # fmt: skip
def test_what_is_looked_at(live: bool, running: bool, name: str) -> None:
    parts = capture_parts("kernel", live, "following", Standing(Progress(1234, 0, running), 5))
    assert parts[0] == ("strong", name)
    assert ("plain", "1,234 received") in parts
    assert ("plain", "5 shown") in parts
    assert (("plain", "following") in parts) is running


def test_a_source_that_is_not_ready_yet_says_so() -> None:
    assert capture_parts("kernel", True, "following", Standing(Progress(started=False)))[0] == (
        "strong",
        "kernel (starting)",
    )


def test_losses_and_problems_stand_out() -> None:
    parts = capture_parts("kernel", True, "not following", Standing(Progress(10, 3, True, "the disk is full")))
    assert ("problem", "3 lost") in parts
    assert ("problem", "the disk is full") in parts
    assert ("plain", "0 lost") in capture_parts("kernel", True, "not following", Standing(Progress(10, 0)))


def test_a_field_is_named_as_a_filter_names_it() -> None:
    field = Field(IMEI, "00101", 40, 5)
    assert field_parts(field) == (
        ("strong", "qmi.dms.get_ids.imei"),
        ("plain", "5 bytes at 40"),
        ("plain", "imei: 00101"),
    )
    assert field_parts(Field(IMEI, "0", 40, 1))[1] == ("plain", "1 byte at 40")
    assert field_parts(None) == ()


def test_a_field_without_bytes_has_no_place_and_a_bad_one_says_why() -> None:
    field = Field(IMEI, "00101", 0, 0, problem=Problem(Severity.ERROR, "cut short", 0, 0))
    assert [kind for kind, _ in field_parts(field)] == ["problem", "strong", "plain"]
    assert field_parts(field)[0] == ("problem", "error: cut short")


async def test_what_does_not_fit_is_cut_and_the_cut_is_shown() -> None:
    async with seated(size=(30, 20)) as seat:
        seat.field_line.parts = (("strong", "qmi.dms.get_ids"), ("plain", "a very long value, longer than the line"))
        assert shown(seat.field_line)[0] == " qmi.dms.get_i… a very long v…"
        seat.field_line.parts = (("strong", "x" * 50), ("plain", "0 lost"), ("plain", "7 shown"))
        assert shown(seat.field_line)[0] == " xxxxxxxxxxx… 0 lost  7 shown"
        seat.field_line.parts = (("plain", "\u4f60\u597d" * 20),)  # two cells each
        assert seat.field_line.render_line(0).cell_length == 30
