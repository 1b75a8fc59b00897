# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import threading

import pytest
from textual.widgets import Static

from qmisniff.paths import config_dir
from qmisniff.tui import filter_bar
from qmisniff.tui.conditions import How, combined
from qmisniff.tui.filter_bar import Checked
from qmisniff.tui.saved_filters import load_filters, save_filters
from tests.tui.scenes_filter import typed
from tests.tui.scripted import Seat, seated, shown


def wrong(seat: Seat) -> list[str]:
    return str(seat.main.query_one("#wrong", Static).render()).split("\n")


async def test_what_is_wrong_stands_under_it() -> None:
    async with seated() as seat:
        await typed(seat, "qmi.type == 1 && qmi.nothing")
        bar = seat.main.bar
        assert bar.has_class("-bad") and not bar.has_class("-good")
        marks, message = wrong(seat)
        line = shown(seat.main.query_one("#mark"))[0].ljust(11) + bar.text
        assert line[marks.index("^") :] == "qmi.nothing" and marks.strip() == "^" + "~" * 10
        assert "qmi.nothing" in message
        await seat.press("enter")
        assert seat.session.sieve.filter is None and bar.has_focus_within  # a wrong filter is not applied
        await seat.press("escape", "escape")
        assert not seat.main.query_one("#wrong").display or not seat.main.query_one("#wrong").region.height


async def test_good_and_bad_are_told_without_colour() -> None:
    async with seated() as seat:
        mark = seat.main.query_one("#mark")
        await typed(seat, "qmi")
        assert "✓" in shown(mark)[0]
        await typed(seat, ".no")
        assert "✗" in shown(mark)[0]
        await seat.press("ctrl+u")
        await seat.until(lambda: not seat.main.bar._checking)
        assert "✓" not in shown(mark)[0] and "✗" not in shown(mark)[0]


async def test_a_filter_that_was_left_unapplied_is_seen_to_be_unused() -> None:
    async with seated() as seat:
        mark = seat.main.query_one("#mark")
        await typed(seat, "qmi")
        await seat.press("escape", "escape")
        assert seat.packets.has_focus and "⊘" in shown(mark)[0] and seat.main.bar.has_class("-off")
        await seat.press("slash")
        assert "✓" in shown(mark)[0]
        await seat.press("enter")
        assert seat.packets.has_focus and "✓" in shown(mark)[0] and seat.session.sieve.filter is not None


async def test_typing_does_not_wait_for_the_look_at_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    go_on = threading.Event()
    check = filter_bar.check

    def slow(text: str, cursor: int, registry: object) -> Checked:
        looked.append(text)
        go_on.wait(10)
        return check(text, cursor, seat.session.dissector.registry)

    async with seated() as seat:
        monkeypatch.setattr(filter_bar, "check", slow)
        await seat.press("slash", *"qmi")
        assert seat.main.bar.text == "qmi" and looked == ["q"]
        assert "…" in shown(seat.main.query_one("#mark"))[0]
        go_on.set()
        await seat.until(lambda: seat.main.bar.has_class("-good"), "the last text was looked at")
        assert looked == ["q", "qmi"]


async def test_a_bug_in_the_compiler_is_an_error_of_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str, registry: object) -> None:
        raise RuntimeError("oops")

    async with seated() as seat:
        monkeypatch.setattr(filter_bar, "compile_filter", broken)
        await typed(seat, "qmi")
        assert seat.main.bar.has_class("-bad") and "oops" in wrong(seat)[1]


async def test_candidates_are_no_markup() -> None:
    async with seated() as seat:
        suggestions = await typed(seat, "qmi.type == ")
        assert suggestions.display
        assert "0" in str(suggestions.get_option_at_index(0).prompt)


@pytest.mark.parametrize("how", How)
def test_combined_filters_keep_their_meaning(how: How) -> None:
    made = combined("a or b", "c", how)
    assert made in ("c", "!(c)") or made.startswith("(a or b) ")
    assert combined("", "c", how) in ("c", "!(c)")


def test_saved_filters_are_wiresharks_file() -> None:
    save_filters({'with "quotes" and \\': 'frame contains "x"', "short": "qmi"})
    text = (config_dir() / "dfilters").read_text()
    assert text == '"with \\"quotes\\" and \\\\" frame contains "x"\n"short" qmi\n'
    assert load_filters() == {'with "quotes" and \\': 'frame contains "x"', "short": "qmi"}
    (config_dir() / "dfilters").write_text('# a comment\nnonsense\n"kept" qmi.type == 1 \n')
    assert load_filters() == {"kept": "qmi.type == 1"}
