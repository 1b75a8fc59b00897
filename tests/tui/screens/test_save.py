# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Label

from qmisniff.capture_file import Reader
from qmisniff.tui.screens.main import MainScreen
from qmisniff.tui.screens.save import SaveScreen
from tests.tui.conversation import conversation
from tests.tui.scripted import Seat, said, seated


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def fill(seat: Seat, name: str) -> None:
    assert isinstance(seat.app.screen, SaveScreen)
    seat.app.screen.query_one(Input).value = name
    await seat.press("enter")


async def left(seat: Seat) -> None:
    await seat.until(lambda: seat.app.return_code == 0, "the program ends")


async def test_save_and_leave(tmp_path: Path) -> None:
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("q")
        assert "7 packets are not saved" in str(seat.app.screen.query(Label).first().render())
        await fill(seat, "mine.pcapng")
        await left(seat)
        assert seat.script.closed
    with Path("mine.pcapng").open("rb") as stream:
        assert list(Reader(stream)) == conversation()
    assert stat.S_IMODE(Path("mine.pcapng").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pcapng"]


async def test_the_name_suggested_is_the_time_of_the_first_packet(tmp_path: Path) -> None:
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("ctrl+s")
        name = seat.app.screen.query_one(Input).value
        assert name.startswith("qmisniff-2025123") or name.startswith("qmisniff-20260101")
        assert name.endswith(".pcapng")


async def test_a_file_is_replaced_only_when_that_was_said(tmp_path: Path) -> None:
    Path("mine.pcapng").write_bytes(b"precious")
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("ctrl+s")
        await fill(seat, "mine.pcapng")
        assert "mine.pcapng exists" in said(seat.app)
        assert Path("mine.pcapng").read_bytes() == b"precious"
        await seat.press("enter")
        await seat.until(lambda: isinstance(seat.app.screen, MainScreen))
        with Path("mine.pcapng").open("rb") as stream:
            assert len(list(Reader(stream))) == len(conversation())


@pytest.mark.parametrize(("name", "words"), [
    ("no/such/folder/x.pcapng", "No such file or directory"), ("", "Name a file"), ("x" * 300, "File name too long"),
    ("with\0nul", "null"),
])  # fmt: skip
async def test_a_place_that_cannot_be_written_is_told_and_another_can_be_named(
    tmp_path: Path, name: str, words: str
) -> None:
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("q")
        await fill(seat, name)
        await seat.until(lambda: words in said(seat.app), words)
        await fill(seat, "mine.pcapng")
        await left(seat)
    assert Path("mine.pcapng").exists()


async def test_the_buttons_do_what_the_keys_do(tmp_path: Path) -> None:
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("q")
        await seat.pilot.click(seat.app.screen.query_one("#cancel", Button))
        assert isinstance(seat.app.screen, MainScreen)
        await seat.press("ctrl+s")
        seat.app.screen.query_one(Input).value = "mine.pcapng"
        await seat.pilot.click(seat.app.screen.query_one("#save", Button))
        await seat.until(lambda: isinstance(seat.app.screen, MainScreen) and Path("mine.pcapng").exists())
        seat.script.give(conversation())
        await seat.until(lambda: len(seat.packets.rows) == 14)
        await seat.press("q")
        await seat.pilot.click(seat.app.screen.query_one("#give-up", Button))
        await left(seat)


async def test_what_is_saved_does_not_ask_again(tmp_path: Path) -> None:
    async with seated(live=True, folder=tmp_path) as seat:
        await seat.press("ctrl+s")
        await fill(seat, "mine.pcapng")
        await seat.until(lambda: isinstance(seat.app.screen, MainScreen))
        await seat.pilot.press("q")
        await left(seat)


async def test_the_question_fits_a_small_terminal(tmp_path: Path) -> None:
    async with seated(live=True, folder=tmp_path, size=(20, 5)) as seat:
        await seat.press("q")
        await fill(seat, "m")
        await left(seat)
    assert Path("m").exists()
