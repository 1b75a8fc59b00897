# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command does what it says, by each of its keys or from the palette. One without a scenario fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.tui.footer import KeyLine
from qmisniff.tui.keys import every_id
from qmisniff.tui.line_pane import LinePane
from tests.tui.scenarios import classes, collect, every_command
from tests.tui.scripted import PALETTE, seated

SCENARIOS = collect()
EVERY = sorted(
    {(command.id, key) for _, command in every_command() for key in (command.keys or PALETTE + command.id).split(",")}
)


def test_every_command_has_a_scenario_and_every_scenario_a_command() -> None:
    assert {identifier for identifier, _ in EVERY} == SCENARIOS.keys()


def test_every_command_is_described_and_can_be_named_in_a_key_file() -> None:
    for kind, command in every_command():
        assert command.title and command.help and command.help[-1] != ".", command
        assert command.id in every_id(), command
        assert getattr(kind, "HELP_TITLE", ""), kind


@pytest.mark.parametrize(
    "word", ["save", "export", "filter", "find", "mark", "comment", "copy", "theme", "help", "quit"]
)
def test_the_palette_finds_what_people_look_for(word: str) -> None:
    assert any(word in command.title.lower() for _, command in every_command())  # only titles are searched


def test_an_id_means_one_thing() -> None:
    found = {command.id: command for _, command in every_command()}
    assert all(found[command.id] == command for _, command in every_command())


def test_a_key_means_one_thing_in_a_place() -> None:
    for kind in classes():
        if issubclass(kind, LinePane):
            keys = [
                key for each in kind.__mro__ for command in each.__dict__.get("OFFERS", ())
                for key in command.keys.split(",") if key
            ]  # fmt: skip
            assert len(keys) == len(set(keys)), kind


@pytest.mark.parametrize(("identifier", "key"), EVERY)
async def test_command(identifier: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Making the footer is half of the work of a start and of each new focus. No scenario looks at it; pictures do.
    monkeypatch.setattr(KeyLine, "bindings_changed", lambda line, screen: None)
    recording = tmp_path / "recording"
    recording.mkdir()
    live = identifier.startswith(("capture.", "save."))
    async with seated(live=live, folder=recording if live else None, size=(100, 36)) as seat:
        await SCENARIOS[identifier](seat, key)


async def test_nothing_is_bound_that_has_no_id() -> None:
    async with seated() as seat:
        for pane in (seat.packets, seat.details, seat.bytes):
            pane.focus()
            await seat.pilot.pause()
            assert all(active.binding.id for active in seat.main.active_bindings.values())
