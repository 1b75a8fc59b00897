# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from qmisniff.capture.source import Availability, Statistics
from qmisniff.capture_file import Reader, Writer
from qmisniff.errors import CaptureFileError, QmisniffError, SourceFailed, SourceUnavailable
from qmisniff.frame import Frame, Origin
from qmisniff.store import Store
from qmisniff.store.load import Loader
from qmisniff.tracker.pairs import Pairs
from qmisniff.tui.feed import Feed, FileInput, Input, LiveInput, PipeInput, Progress
from qmisniff.tui.recording import Recording, TemporaryRecording
from tests.factories import qmi
from tests.tui.conversation import IDS, IDS_ASKED, conversation, from_modem
from tests.tui.scripted import wait
from tests.tui.tmux import PATIENCE_S


def capture(frames: list[Frame], lost: int | None = None) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write(frames)
    if lost is not None:
        writer.close(lost)
    return stream.getvalue()


def fed(source: Input | FileInput, recording: Recording | None = None) -> tuple[Store, Feed]:
    store = Store()
    feed = Feed(store, source, recording)
    feed.start()
    return store, feed


class Tap:
    """A source as the capture package has them: gives batches, then waits, then what was on its way when stopped."""

    origin = Origin("tap", "tap")
    notes = ("no lookup was made",)

    def __init__(
        self,
        *batches: list[Frame],
        last: list[Frame] | None = None,
        error: Exception | None = None,
        refusal: QmisniffError | None = None,
    ) -> None:
        self.opened = threading.Event()
        self.ready = threading.Event()
        self.ready.set()
        self._refusal = refusal
        self._batches = list(batches)
        self._last = last
        self._error = error
        self._stopped = False
        self.closed = 0
        self.lost = 0

    @property
    def statistics(self) -> Statistics:
        return Statistics(0, self.lost)

    def probe(self) -> Availability:
        return Availability(True, "")

    def open(self) -> None:
        self.opened.set()
        self.ready.wait()
        if self._refusal is not None:
            raise self._refusal

    def read(self, timeout: float) -> list[Frame] | None:
        if self._batches:
            return self._batches.pop(0)
        if self._error is not None:
            raise self._error
        if self._stopped:
            last, self._last = self._last, None
            return last
        time.sleep(min(timeout, 0.01))
        return []

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_what_was_on_its_way_when_stopped_still_comes() -> None:
    tap = Tap(conversation(), last=conversation())
    store, feed = fed(LiveInput(tap, "tap"))
    wait(lambda: len(store) == 7)
    assert feed.progress.running
    assert feed.stop()
    assert len(store) == 14
    assert tap.closed == 1
    assert not feed.progress.running
    assert feed.error is None


@pytest.mark.parametrize("error", [SourceFailed("gone"), OSError(5, "I/O error"), RuntimeError("a bug")])
def test_a_source_that_fails_is_closed_and_what_it_gave_stays(error: Exception, tmp_path: Path) -> None:
    tap = Tap(conversation(), error=error)
    recording = TemporaryRecording(tmp_path)
    store, feed = fed(LiveInput(tap, "tap"), recording)
    wait(lambda: not feed.progress.running)
    assert len(store) == 7
    assert tap.closed == 1
    assert isinstance(feed.error, QmisniffError)
    assert feed.error.exit_code == 4
    assert str(error) in feed.progress.problem
    with recording.path.open("rb") as stream:
        assert len(list(Reader(stream))) == 7


def test_a_feed_that_never_began_opens_nothing(tmp_path: Path) -> None:
    tap = Tap()
    recording = TemporaryRecording(tmp_path)
    feed = Feed(Store(), LiveInput(tap, "tap"), recording)
    assert feed.stop()
    assert not tap.opened.is_set()
    recording.discard()


def test_a_source_that_refuses_says_why() -> None:
    _, feed = fed(LiveInput(Tap(refusal=SourceUnavailable("no probes", "be root")), "tap"))
    wait(lambda: not feed.progress.running)
    assert feed.progress.problem == "no probes (be root)"
    assert feed.error is not None and feed.error.exit_code == 3


def test_an_earlier_capture_stays_where_there_is_no_other(tmp_path: Path) -> None:
    path = tmp_path / "mine.pcapng"
    path.write_text("an earlier capture")
    _, feed = fed(LiveInput(Tap(refusal=SourceUnavailable("no probes", "be root")), "tap"), Recording(path))
    wait(lambda: not feed.progress.running)
    assert path.read_text() == "an earlier capture"


def test_a_file_that_cannot_be_made_ends_the_capture(tmp_path: Path) -> None:
    tap = Tap(conversation())
    store, feed = fed(LiveInput(tap, "tap"), Recording(tmp_path))
    wait(lambda: not feed.progress.running)
    assert len(store) == 7
    assert "Is a directory (choose another place with -w)" in feed.progress.problem
    assert feed.error is not None and feed.error.exit_code == 2
    assert tap.closed == 1


def test_a_source_that_takes_its_time_is_closed_all_the_same() -> None:
    tap = Tap(conversation())
    tap.ready.clear()
    store, feed = fed(LiveInput(tap, "tap"))
    assert tap.opened.wait(PATIENCE_S)
    assert not feed.progress.started
    assert not feed.stop(0.05)  # it cannot be stopped while it is being opened
    tap.ready.set()
    assert feed.stop()
    assert feed.progress.started
    assert tap.closed == 1
    assert len(store) == 7


def test_losses_are_the_source_s_own_count_and_saved(tmp_path: Path) -> None:
    tap = Tap(conversation())
    recording = TemporaryRecording(tmp_path)
    _, feed = fed(LiveInput(tap, "tap"), recording)
    tap.lost = 42
    assert feed.progress.lost == 42
    feed.stop()
    with recording.path.open("rb") as stream:
        reader = Reader(stream)
        list(reader)
        assert reader.dropped == 42


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    frames = [from_modem(qmi(4, 1, 0x51), 11, at, lost=at % 2) for at in range(1234)]
    path.write_bytes(capture(frames, 617))
    store, feed = fed(FileInput(path))
    wait(lambda: not feed.progress.running)
    assert [store.frame(row) for row in range(len(store))] == frames
    assert feed.progress == Progress(1234, 617, running=False)
    assert feed.damage == ""


def test_the_screen_never_pairs_what_a_large_file_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pcapng"
    path.write_bytes(capture(conversation() * 20))
    monkeypatch.setattr("qmisniff.tui.feed.Loader", partial(Loader, small=0))
    store, feed = fed(FileInput(path))
    wait(lambda: not feed.progress.running)
    monkeypatch.setattr(Pairs, "_pair", None)  # whoever does is told
    assert store.context(IDS).request == IDS_ASKED + 1


def test_a_file_that_breaks_off_says_where_and_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    path.write_bytes(capture(conversation())[:-10])
    store, feed = fed(FileInput(path))
    wait(lambda: not feed.progress.running)
    assert len(store) == 6
    assert "cut short" in feed.progress.problem
    assert feed.error is None


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"hello, this is text", "not a capture file")])
def test_what_is_no_capture_is_refused_at_once(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "c.pcapng"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaptureFileError, match=words):
        FileInput(path)


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.RawIOBase]]:
    ours, theirs = os.pipe()
    with open(theirs, "wb", buffering=0) as writer:  # noqa: PTH123 - a descriptor
        yield ours, writer


def test_a_pipe_is_shown_packet_by_packet(pipe: tuple[int, io.RawIOBase]) -> None:
    ours, writer = pipe
    store, feed = fed(PipeInput(ours, "pipe"))
    data = capture(conversation())
    one = len(capture(conversation()[:1]))
    writer.write(data[:one])
    wait(lambda: len(store) == 1)
    writer.write(data[one : one + 10])  # not yet a packet
    time.sleep(0.05)
    assert len(store) == 1
    writer.write(data[one + 10 :])
    wait(lambda: len(store) == 7)
    writer.close()
    wait(lambda: not feed.progress.running)
    assert feed.progress.problem == ""


@pytest.mark.parametrize("begun", [False, True])
def test_a_silent_pipe_can_be_left(pipe: tuple[int, io.RawIOBase], begun: bool) -> None:
    ours, writer = pipe
    store, feed = fed(PipeInput(ours, "pipe"))
    if begun:
        writer.write(capture(conversation()))
        wait(lambda: len(store) == 7)
    assert feed.stop(2)
    assert feed.error is None
    with pytest.raises(OSError):
        os.fstat(ours)  # it is closed


def test_a_pipe_that_gives_something_else(pipe: tuple[int, io.RawIOBase]) -> None:
    ours, writer = pipe
    _, feed = fed(PipeInput(ours, "pipe"))
    writer.write(b"ssh: connect to host phone port 22: refused")
    writer.close()
    wait(lambda: not feed.progress.running)
    assert "not a capture file" in feed.progress.problem
    assert feed.error is not None and feed.error.exit_code == 2


def test_nobody_s_thread_is_left(pipe: tuple[int, io.RawIOBase]) -> None:
    before = set(threading.enumerate())
    _, feed = fed(PipeInput(pipe[0], "pipe"))
    assert set(threading.enumerate()) - before
    feed.stop()
    assert not set(threading.enumerate()) - before
