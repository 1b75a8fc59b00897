# SPDX-License-Identifier: GPL-2.0-or-later
"""The source dies, a file shrinks, a definition is broken, the dissector has a bug: a message, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.qmi_layer import QMI
from qmisniff.dissect.sinks import Sink
from qmisniff.errors import SourceFailed
from qmisniff.field import Severity
from qmisniff.frame import Frame
from qmisniff.paths import config_dir, state_dir
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.guard import LOG, GuardedDissector
from qmisniff.tui.opening import Opener
from qmisniff.tui.screens.main import MainScreen
from tests.tui.conversation import IDS, conversation
from tests.tui.scenes_captures import capture
from tests.tui.scripted import said, seated, shown, until


async def test_the_source_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with seated(live=True, folder=tmp_path) as seat:
        seat.script.fail(SourceFailed("the kernel took its probe back"))
        await seat.until(lambda: not seat.session.feed.progress.running, "the feed has ended")
        await seat.until(lambda: "the kernel took" in shown(seat.capture_line)[0], "it is said")
        assert len(seat.packets.rows) == len(conversation())
        await seat.press("ctrl+s", "enter")
        await seat.until(lambda: seat.session.unsaved == 0, "what came before can be saved")


@pytest.mark.parametrize("size", [(80, 24), (20, 5)])
async def test_the_terminal_shrinks_while_everything_is_used(size: tuple[int, int]) -> None:
    async with seated() as seat:
        await seat.pilot.resize_terminal(*size)
        await seat.press("j", "tab", "j", "tab", "l", "z", "z", "slash", *"qmi", "enter")
        await seat.until(lambda: seat.session.sieve.filter is not None, "the filter is applied")
        await seat.press("question_mark", "escape", "ctrl+f", "escape", "y", "escape", "vertical_line", "s")
        await seat.pilot.resize_terminal(100, 30)
        await seat.until(lambda: any("Get IDs" in line for line in shown(seat.packets)), "all is there again")


class Buggy(Dissector):
    """What a bug in the dissector would do: it breaks at responses."""

    def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        super().walk(frame, context, sink)
        if context.request:
            raise ZeroDivisionError("oops")


class GuardedBuggy(GuardedDissector, Buggy):
    """The same, guarded."""


async def test_a_bug_in_the_dissector_is_shown_at_its_packet() -> None:
    async with seated() as seat:
        guarded = GuardedBuggy(seat.session.dissector.registry)
        seat.session.dissector = seat.packets._dissector = seat.session.sieve._dissector = guarded
        seat.packets._summaries.clear()
        seat.packets.refresh()
        await seat.select(IDS)
        assert "dissector bug: ZeroDivisionError: oops" in "\n".join(shown(seat.details))
        assert shown(seat.packets)[1 + IDS].startswith("E")
        assert "dissector bug" in seat.packets.packet(IDS).summary.info
        assert seat.bytes.data == conversation()[IDS].data
        await seat.filter('expert.message contains "oops"')
        assert len(seat.packets.rows) == 2
        assert (state_dir() / LOG).read_text().count("ZeroDivisionError: oops") == 1


def test_the_guard_changes_nothing_where_there_is_no_bug() -> None:
    store = Store()
    store.extend(conversation())
    plain, guarded = Dissector(open_registry([])), GuardedDissector(open_registry([]))
    for row in range(len(store)):
        frame, context = store.frame(row), store.context(row)
        assert plain.summary(frame, context) == guarded.summary(frame, context)
        assert plain.values(frame, context) == guarded.values(frame, context)
        assert len(list(plain.tree(frame, context).walk())) == len(list(guarded.tree(frame, context).walk()))


def test_a_summary_that_cannot_be_made_is_one_of_the_bug() -> None:
    class Bare(GuardedDissector):
        def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
            sink.layer(QMI, "", 0, 0)
            sink.into["qmi.length"] = 1  # type: ignore[attr-defined]

    found = Bare(open_registry([])).summary(conversation()[IDS], Context(1))
    assert found.severity is Severity.ERROR and "dissector bug" in found.info


def shows_all(app: QmisniffApp) -> bool:
    """Whether the eight packets of `capture` are listed."""
    return isinstance(app.screen, MainScreen) and len(app.screen.packets.rows) == 8


async def test_a_definition_that_breaks_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = config_dir() / "dissectors"
    folder.mkdir(parents=True)
    (folder / "dms.yaml").write_text("service: DMS\nid: 2\ntitle: Device\nmessages: [\n")
    registry = open_registry([])
    app = QmisniffApp(Opener(registry).file(capture()), registry)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(lambda: shows_all(app) and len(app._notifications) > 0, pilot)
        assert any("dms.yaml" in each.message for each in app._notifications)
        assert any("Get IDs" in line for line in shown(app.screen.query_one("#packets")))  # the shipped one instead


async def test_the_file_is_cut_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registry = open_registry([])
    path = capture()
    session = Opener(registry).file(path)
    app = QmisniffApp(session, registry)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(lambda: shows_all(app), pilot)
        path.write_bytes(path.read_bytes()[:-100])
        await pilot.press("end", "home", "ctrl+s", *"x", "enter")
        await until(lambda: "no longer" in said(app), pilot)
        assert not any(each.name.endswith("x") for each in tmp_path.iterdir())
