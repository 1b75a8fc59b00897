# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.definitions import open_registry
from qmisniff.errors import CaptureFileError, SourceUnavailable
from qmisniff.export.notes import read_notes
from qmisniff.tui import opening
from qmisniff.tui.recording import Recording, TemporaryRecording
from qmisniff.tui.session import Session
from tests.capture.test_backends import Scripted
from tests.tui.conversation import conversation
from tests.tui.scripted import Script, dissector, wait


def session(recording: Recording | None) -> tuple[Session, Script]:
    script = Script(conversation())
    made = Session(script, dissector(), recording)
    made.feed.start()
    wait(lambda: len(made.store) == 7)
    return made, script


def test_what_is_neither_saved_nor_given_up_is_kept(tmp_path: Path) -> None:
    live, script = session(TemporaryRecording(tmp_path))
    assert live.unsaved == 7
    kept = live.close()
    assert kept is not None
    assert script.closed
    with kept.open("rb") as stream:
        reader = Reader(stream)
        assert list(reader) == conversation()
        assert not reader.damage


def test_what_is_saved_needs_no_recording_any_more(tmp_path: Path) -> None:
    live, _ = session(TemporaryRecording(tmp_path))
    assert live.save(tmp_path / "mine") == 7
    assert live.unsaved == 0
    assert live.close() is None
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_given_up_is_deleted(tmp_path: Path) -> None:
    live, _ = session(TemporaryRecording(tmp_path))
    live.give_up()
    assert live.close() is None
    assert not list(tmp_path.iterdir())


def test_packets_after_the_save_are_unsaved(tmp_path: Path) -> None:
    live, script = session(TemporaryRecording(tmp_path))
    live.save(tmp_path / "mine")
    script.give(conversation())
    wait(lambda: len(live.store) == 14)
    assert live.unsaved == 7
    assert live.close() is not None


def test_what_goes_to_a_file_of_the_user_s_need_not_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    live, script = session(Recording(path))
    assert live.unsaved == 0
    with pytest.raises(CaptureFileError, match="being written"):
        live.save(path)  # what comes after would go to a file that is no more
    live.save(tmp_path / "copy")
    script.give(conversation())
    wait(lambda: len(live.store) == 14)
    assert live.close() is None and live.error is None
    with path.open("rb") as stream:
        assert len(list(Reader(stream))) == 14
    live.comment(0, "odd")
    live.save(path)
    assert read_notes(path).comments == {0: "odd"}


def test_what_no_longer_fits_on_the_disk_is_unsaved() -> None:
    live, _ = session(Recording(Path("/dev/full")))
    assert live.unsaved == 7
    assert "No space left" in live.feed.progress.problem
    assert live.close() == Path("/dev/full")
    assert live.error is not None and live.error.exit_code == 2


def test_a_file_is_never_unsaved() -> None:
    looked_at, _ = session(None)
    assert looked_at.unsaved == 0
    assert looked_at.close() is None


def test_a_source_that_cannot_be_shown_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking a remote one has logged in there."""
    source = Scripted("one", SourceUnavailable("no root", "be root"))
    monkeypatch.setattr(opening, "open_source", lambda name: source)
    with pytest.raises(SourceUnavailable, match="no root"):
        opening.Opener(open_registry()).source("one")
    assert source.closed
