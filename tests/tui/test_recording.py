# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.errors import CaptureFileError
from qmisniff.tui.recording import Recording, TemporaryRecording
from tests.tui.conversation import conversation


def frames_in(path: Path) -> int:
    with path.open("rb") as stream:
        reader = Reader(stream)
        count = sum(1 for _ in reader)
        assert not reader.damage
    return count


def test_every_batch_is_on_disk_at_once(tmp_path: Path) -> None:
    recording = TemporaryRecording(tmp_path)
    for count in (1, 2, 3):
        recording.write(conversation())
        assert frames_in(recording.path) == count * len(conversation())
    assert stat.S_IMODE(recording.path.stat().st_mode) == 0o600
    recording.close(5)
    with recording.path.open("rb") as stream:
        reader = Reader(stream)
        assert len(list(reader)) == 3 * len(conversation())
        assert reader.dropped == 5
    recording.discard()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_problem_to_tell_and_no_exception(tmp_path: Path) -> None:
    recording = TemporaryRecording(tmp_path)
    recording.write(conversation())
    with Path("/dev/full").open("wb", buffering=0) as full:  # the kernel's own full disk
        assert recording._writer is not None
        recording._writer._stream, stream = full, recording._writer._stream
        recording.write(conversation())
        assert "No space left on device" in str(recording.error)
        recording.write(conversation())  # and no more of it
        recording._writer._stream = stream
    recording.close(0)
    assert frames_in(recording.path) == len(conversation())


def test_no_place_for_a_recording(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match="set TMPDIR"):
        TemporaryRecording(tmp_path / "nowhere")
    with pytest.raises(CaptureFileError, match=r"No such file or directory \(choose another place with -w\)"):
        Recording(tmp_path / "nowhere" / "mine.pcapng")


def test_a_named_file_takes_the_place_of_another_when_there_is_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "mine.pcapng"
    path.write_text("an earlier capture")
    recording = Recording(path)
    assert path.read_text() == "an earlier capture"
    recording.write(())
    assert (frames_in(path), recording.kept) == (0, 0)
    recording.write(conversation())
    assert (frames_in(path), recording.kept) == (7, 7)
    recording.close(0)
    recording.discard()
    assert frames_in(path) == 7


def test_a_full_disk_leaves_the_rest_to_be_saved() -> None:
    recording = Recording(Path("/dev/full"))  # the kernel's own full disk
    recording.write(conversation())
    assert recording.kept == 0
    assert "No space left on device" in str(recording.error)
    recording.close(0)
