# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept between two runs: state, keys."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from qmisniff.paths import config_dir, state_dir
from qmisniff.tui.keys import load_keys, textual_name
from qmisniff.tui.state import State, load_state
from tests.tui.scripted import seated, shown


def test_state_comes_back_and_only_its_owner_reads_it() -> None:
    state = State(columns=[["info", 0, True]], shares={"LEFT": [0.5, 0.25]}, theme="textual-light")
    state.remember_filter("qmi")
    state.remember_filter("qrtr")
    state.remember_filter("qmi")
    state.remember_file(Path("x.pcapng"))
    state.save()
    assert load_state() == state and state.filters == ["qrtr", "qmi"]
    assert stat.S_IMODE((state_dir() / "tui.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"columns": 1}', '{"columns": [[1, 2, 3]]}', '{"filters": [1]}',
    '{"shares": {"LEFT": [1]}}',
    '{"shares": {"LEFT": ["a", "b"]}}', '{"columns": [["a", true, 1]]}', "[" * 100_000,
])  # fmt: skip
def test_a_state_file_of_another_make_is_as_none(text: str) -> None:
    state_dir().mkdir(parents=True)
    (state_dir() / "tui.json").write_text(text)
    assert load_state() == State()


def test_what_is_right_in_a_damaged_state_is_kept() -> None:
    state_dir().mkdir(parents=True)
    (state_dir() / "tui.json").write_text(json.dumps({"filters": ["qmi"], "columns": "x", "more": 1}))
    assert load_state() == State(filters=["qmi"])


def test_a_state_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    State().save()
    assert load_state() == State()


@pytest.mark.parametrize(("text", "words"), [
    ("nonsense", "keys.toml"), ('"no.such" = "f"', "no command 'no.such'"), ('"list.follow" = 5', "not text"),
    ('"list.follow" = "hyperdrive"', "no key is called 'hyperdrive'"), ('"list.follow" = "strg+f"', "no key"),
    ('"list.follow" = ""', "not text"), ('list.follow = "f"', "a name with a dot needs quotes"), ("\0", "keys.toml"),
])  # fmt: skip
def test_a_wrong_key_file_is_said(text: str, words: str) -> None:
    config_dir().mkdir(parents=True)
    (config_dir() / "keys.toml").write_text(text)
    keys = load_keys({"list.follow"})
    assert keys.by_id == {} and len(keys.problems) == 1 and words in keys.problems[0]


@pytest.mark.parametrize(("written", "meant"), [
    ("F3", "f3"), ("Ctrl+F", "ctrl+f"), ("/", "slash"), ("F", "F"), ("shift+f", "F"), ("Shift+Tab", "shift+tab"),
    ("Shift+Ctrl+Left", "ctrl+shift+left"), ("Esc", "escape"), ("alt+PgUp", "alt+pageup"), ("+", "plus"),
    ("ctrl++", "ctrl+plus"), ("full_stop", "full_stop"), ("space", "space"), ("", ""),
    ("ctrl+", ""), ("ctrl+ctrl+f", ""),
])  # fmt: skip
def test_keys_are_understood_as_people_write_them(written: str, meant: str) -> None:
    assert textual_name(written) == meant


async def test_other_keys_by_the_key_file() -> None:
    config_dir().mkdir(parents=True)
    (config_dir() / "keys.toml").write_text('"pane.zoom" = "o,Ctrl+Z,%"\n"column.reset" = "F9"\n')
    async with seated() as seat:
        await seat.press("z")
        assert not seat.main.panes.zoomed
        await seat.press("ctrl+z")
        assert seat.main.panes.zoomed
        await seat.press("o")
        assert not seat.main.panes.zoomed
        await seat.press("percent_sign")
        assert seat.main.panes.zoomed
        await seat.press("o")
        before = shown(seat.packets)[0]
        await seat.press("delete")
        assert shown(seat.packets)[0] != before
        await seat.press("f9")  # had no key before
        assert shown(seat.packets)[0] == before
