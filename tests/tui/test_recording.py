# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.errors import CaptureFileError
from qmisniff.tui.recording import Recording
from tests.tui.conversation import conversation


def frames_in(path: Path) -> int:
    with path.open("rb") as stream:
        reader = Reader(stream)
        count = sum(1 for _ in reader)
        assert not reader.damage
    return count


def test_every_batch_is_on_disk_at_once(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
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
    recording = Recording(tmp_path)
    recording.write(conversation())
    with Path("/dev/full").open("wb", buffering=0) as full:  # the kernel's own full disk
        recording._writer._stream, stream = full, recording._writer._stream
        recording.write(conversation())
        assert "No space left on device" in recording.problem
        recording.write(conversation())  # and no more of it
        recording._writer._stream = stream
    recording.close(0)
    assert frames_in(recording.path) == len(conversation())


def test_no_place_for_a_recording(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match="set TMPDIR"):
        Recording(tmp_path / "nowhere")
