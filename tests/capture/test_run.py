# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture loop, around a scripted source."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from qmisniff.capture import ending
from qmisniff.capture.files import CaptureFiles
from qmisniff.capture.limits import Limits
from qmisniff.capture.losses import NOT_PROBED, OVERWRITTEN
from qmisniff.capture.narration import summary
from qmisniff.capture.run import run
from qmisniff.capture.source import Availability, Opened, Statistics
from qmisniff.capture_file import Reader
from qmisniff.errors import CaptureFileError, SourceFailed
from qmisniff.frame import Frame, Origin


class Script(Opened):
    """A source that does one step after the other at each read; after `stop` it gives its last frame."""

    origin = Origin("script", "script")
    notes: tuple[str, ...] = ("something to know",)

    def __init__(self, *steps: Callable[[], list[Frame] | None]) -> None:
        self.steps = list(steps)
        self.stopped = self.closed = self.opened = False
        self.frames = 0

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.frames, 7, 1)

    def probe(self) -> Availability:
        return Availability(True, "")

    def open(self) -> None:
        self.opened = True

    def read(self, timeout: float) -> list[Frame] | None:
        if self.stopped:
            if self.stopped is True and (last := self.__dict__.pop("last", None)) is not None:
                return [last]
            return None
        got = self.steps.pop(0)() if self.steps else []
        self.frames += len(got or ())
        return got

    def stop(self) -> None:
        if not self.stopped:
            self.last = frame(b"last")
        self.stopped = True

    def close(self) -> None:
        self.closed = True


def frame(data: bytes) -> Frame:
    return Frame(1, data, len(data), origin=Script.origin)


def send(*data: bytes) -> Callable[[], list[Frame]]:
    return lambda: [frame(each) for each in data]


def raise_signal(number: int) -> Callable[[], list[Frame]]:
    def step() -> list[Frame]:
        os.kill(os.getpid(), number)
        return []

    return step


class Sink(io.BytesIO):
    """Can be looked at after it has been closed."""

    def close(self) -> None:
        pass


def written(sink: Sink) -> list[bytes]:
    reader = Reader(io.BytesIO(sink.getvalue()))
    frames = [each.data for each in reader]
    assert not reader.damage
    assert reader.dropped == 7
    return frames


@pytest.fixture(autouse=True)
def _as_from_a_shell() -> Iterator[None]:
    """Signals as a shell leaves them to what it runs: the tests themselves may run under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_everything_written(number: int) -> None:
    source, sink, said = Script(send(b"one", b"two"), raise_signal(number)), Sink(), io.StringIO()
    before = signal.getsignal(number)
    assert run(source, CaptureFiles(lambda: sink), said) == 0
    assert written(sink) == [b"one", b"two", b"last"]
    assert source.closed
    assert signal.getsignal(number) is before
    root = ["qmisniff: this source goes on as root"] if os.geteuid() == 0 else []
    assert said.getvalue().splitlines() == [
        "qmisniff: something to know",
        *root,
        "capturing from script, ctrl+c ends",
        "qmisniff: 7 packets lost so far",
        "3 packets, 7 lost, 1 truncated",
    ]


class Hesitant(Script):
    """A source that waits for somebody before it is open, while a signal comes."""

    def open(self) -> None:
        with ending.wait():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)


def test_a_signal_ends_the_wait_for_the_start(tmp_path: Path) -> None:
    path, said = tmp_path / "earlier", io.StringIO()
    path.write_bytes(b"an earlier capture")
    source = Hesitant()
    assert run(source, CaptureFiles(lambda: path.open("wb")), said) == 0
    assert said.getvalue() == "ended before there was anything to capture\n"
    assert path.read_bytes() == b"an earlier capture"


def test_a_signal_of_before_a_wait_ends_it_too() -> None:
    with ending.noted() as caught:
        os.kill(os.getpid(), signal.SIGTERM)
        assert caught == [signal.SIGTERM]
        with pytest.raises(ending.Interrupted), ending.wait():
            raise AssertionError("it waits")
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(caught) == 2, "what is cleaned up is not disturbed"
    with ending.wait():
        pass


def test_a_signal_ends_the_wait_for_a_reader_of_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    program = (
        "import os,sys,io,pathlib,signal\n"
        "from functools import partial\n"
        "from qmisniff.capture.files import CaptureFiles, create\nfrom qmisniff.capture.run import run\n"
        "from tests.capture.test_run import Script\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "class Opened(Script):\n"
        "    def open(self): print('open', flush=True)\n"
        "source = Opened()\n"
        "code = run(source, CaptureFiles(partial(create, pathlib.Path(sys.argv[1]))), sys.stderr)\n"
        "sys.exit(code or not source.closed)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "fifo")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert running.stdout and running.stderr
    try:
        assert running.stdout.readline() == b"open\n"
        deadline = time.monotonic() + 60
        while running.poll() is None and time.monotonic() < deadline:
            running.terminate()  # more than once: one may come just before the system call
            time.sleep(0.1)
        assert running.returncode == 0
        assert running.stderr.read() == b"ended before there was anything to capture\n"
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
        running.stderr.close()


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        source, sink = Script(raise_signal(signal.SIGHUP), send(b"one"), lambda: None), Sink()
        run(source, CaptureFiles(lambda: sink), io.StringIO())
        assert written(sink) == [b"one"]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_count_ends_it_on_the_packet() -> None:
    source, sink = Script(send(b"1", b"2"), send(b"3", b"4"), send(b"5")), Sink()
    run(source, CaptureFiles(lambda: sink, Limits(packets=3)), io.StringIO())
    assert written(sink) == [b"1", b"2", b"3"]
    assert source.closed


def test_the_end_of_the_source_ends_it() -> None:
    source, sink = Script(send(b"1"), lambda: None), Sink()
    assert run(source, CaptureFiles(lambda: sink), io.StringIO()) == 0
    assert written(sink) == [b"1"]


def fail() -> list[Frame]:
    raise SourceFailed("the pipe broke")


def test_a_source_that_fails_leaves_a_whole_file() -> None:
    source, sink = Script(send(b"1"), fail), Sink()
    with pytest.raises(SourceFailed, match="the pipe broke"):
        run(source, CaptureFiles(lambda: sink), io.StringIO())
    assert written(sink) == [b"1"]
    assert source.closed


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "No space left on device")])
def test_where_nobody_hears_any_more_the_capture_goes_on(error: OSError) -> None:
    class Narration(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    source, sink = Script(send(b"1")), Sink()

    def note() -> list[Frame]:
        source.notes = (*source.notes, "a late note")
        return []

    source.steps += [note, send(b"2"), lambda: None]
    assert run(source, CaptureFiles(lambda: sink), Narration()) == 0
    assert written(sink) == [b"1", b"2"]
    assert source.closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error_with_a_reason() -> None:
    source = Script(send(b"1"))
    # Buffered, as a file of the command line's is: closing it must not raise a second time.
    with Path("/dev/full").open("wb") as sink, pytest.raises(CaptureFileError, match="No space left"):
        run(source, CaptureFiles(lambda: sink), io.StringIO())
    assert source.closed


@pytest.mark.parametrize("steps", [(), (send(b"1"),)], ids=["idle", "busy"])
def test_a_reader_that_goes_away_ends_it(steps: tuple[Callable[[], list[Frame]], ...]) -> None:
    reading, writing = os.pipe()
    source = Script(lambda: os.close(reading) or [], *steps)  # type: ignore[func-returns-value]
    sink: BinaryIO = os.fdopen(writing, "wb", buffering=0)
    with sink, pytest.raises(BrokenPipeError):
        run(source, CaptureFiles(lambda: sink), io.StringIO())
    assert source.closed


def test_more_buffer_is_advised_where_it_helps() -> None:
    """A probe that could not run has nothing to do with buffers."""
    assert "-B" in summary(1, Statistics(1, 3, 0, {OVERWRITTEN: 2, NOT_PROBED: 1}))[1]
    assert summary(1, Statistics(1, 1, 0, {NOT_PROBED: 1}))[1] == f"lost: 1 {NOT_PROBED}"
