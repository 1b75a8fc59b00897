# SPDX-License-Identifier: GPL-2.0-or-later
"""The files a capture is written to: when the next one begins, what is in each, and when it is over."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from qmisniff.capture.files import CaptureFiles, NumberedFiles, create
from qmisniff.capture.limits import NO_LIMITS, Limits, stop_limits, switch_limits
from qmisniff.capture_file import Reader
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Flag, Frame
from qmisniff.tracker import Tracker
from tests import factories as make

DMS = (make.MODEM, 10)
NEW = make.frame(make.server(make.NEW_SERVER, 2, 0x101, *DMS))


def packet(serial: int, lost: int = 0) -> Frame:
    return make.frame(make.qrtr(make.qmi(0, serial, 0x25), target=DMS), at_ms=serial, lost=lost)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def content(path: Path) -> tuple[list[Frame], int]:
    """Frames and the packets lost of a file that is whole."""
    with path.open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    assert not reader.damage
    return frames, reader.dropped


def several(folder: Path, switch: Limits, stop: Limits = NO_LIMITS, keep: int | None = None) -> CaptureFiles:
    files = CaptureFiles(NumberedFiles(folder / "long.pcapng", keep), stop, switch)
    files.open()
    return files


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(time, "monotonic", stopped)
    monkeypatch.setattr(time, "time", stopped)
    return stopped


def test_names_are_dumpcap_s(tmp_path: Path) -> None:
    for name, pattern in (
        ("a.pcapng", r"a_00001_\d{14}\.pcapng"),
        ("a", r"a_00001_\d{14}"),
        ("a.tar.gz", r"a.tar_00001_\d{14}\.gz"),
        (".hidden", r"\.hidden_00001_\d{14}"),
    ):
        NumberedFiles(tmp_path / name)().close()
        assert [path.name for path in files_in(tmp_path) if re.fullmatch(pattern, path.name)], name


def test_a_further_file_is_made_anew_and_in_the_folder_of_the_first(tmp_path: Path) -> None:
    """It may be root who opens them, for a process that is not: no link may lead it elsewhere."""
    folder, elsewhere, precious = tmp_path / "folder", tmp_path / "elsewhere", tmp_path / "precious"
    folder.mkdir()
    elsewhere.mkdir()
    precious.write_text("as it was")
    opener = NumberedFiles(folder / "long.pcapng")
    opener().close()
    now = int(time.time())
    for second in range(now - 1, now + 30):
        (folder / f"long_00002_{datetime.fromtimestamp(second):%Y%m%d%H%M%S}.pcapng").symlink_to(precious)
    opener().close()
    assert precious.read_text() == "as it was"
    assert len([path for path in files_in(folder) if not path.is_symlink()]) == 2
    folder.rename(tmp_path / "moved")
    folder.symlink_to(elsewhere)
    with pytest.raises(CaptureFileError, match="the folder is not the one of the first file"):
        opener()
    assert files_in(elsewhere) == []


# Packets that came, -b, -a -> number of a file and the packets in it: what dumpcap 4.0.17 wrote on the loopback.
DUMPCAP: tuple[tuple[int, list[str], list[str], dict[int, int]], ...] = (
    (9, ["packets:3"], [], {1: 3, 2: 3, 3: 3, 4: 0}),
    (9, ["packets:3"], ["packets:9"], {1: 3, 2: 3, 3: 3}),
    (9, ["packets:3"], ["packets:4"], {1: 3, 2: 1}),
    (9, ["packets:3"], ["files:2"], {1: 3, 2: 3}),
    (8, ["packets:3", "files:2"], [], {2: 3, 3: 2}),
    (11, ["packets:3", "files:3"], ["packets:11"], {2: 3, 3: 3, 4: 2}),
)


@pytest.mark.parametrize(("came", "switch", "stop", "wrote"), DUMPCAP)
def test_files_are_dumpcap_s(
    tmp_path: Path, came: int, switch: list[str], stop: list[str], wrote: dict[int, int]
) -> None:
    turn = switch_limits(switch)
    files = several(tmp_path, turn, stop_limits(stop), turn.files)
    for serial in range(came):
        files.write([packet(serial)])
    files.close(0)
    assert {int(path.name[5:10]): len(content(path)[0]) for path in files_in(tmp_path)} == wrote


def test_each_file_is_complete_in_itself(tmp_path: Path) -> None:
    files = several(tmp_path, Limits(packets=3))
    files.write([NEW, *map(packet, range(1, 9))])
    files.close(0)
    assert files.written == 9
    found = [content(path)[0] for path in files_in(tmp_path)]
    assert [[frame.ts_ns for frame in frames if not frame.flags] for frames in found] == [
        [NEW.ts_ns, packet(1).ts_ns, packet(2).ts_ns],
        [packet(serial).ts_ns for serial in (3, 4, 5)],
        [packet(serial).ts_ns for serial in (6, 7, 8)],
        [],
    ]
    for frames in found:
        tracker = Tracker()
        for frame in frames:
            tracker.add(frame)
        assert tracker.servers[DMS].service == 2
        assert frames == sorted(frames, key=lambda frame: frame.ts_ns)


def test_a_service_that_has_gone_is_not_told_again(tmp_path: Path) -> None:
    files = several(tmp_path, Limits(packets=2))
    files.write([NEW, make.frame(make.server(make.DEL_SERVER, 2, 0x101, *DMS)), packet(1)])
    files.close(0)
    assert [frame.flags for frame in content(files_in(tmp_path)[1])[0]] == [Flag(0)]


def test_a_ring_keeps_the_last(tmp_path: Path) -> None:
    files = several(tmp_path, Limits(packets=1), keep=2)
    for serial in range(5):
        files.write([packet(serial)])
        assert len(files_in(tmp_path)) <= 2
    files.close(0)
    assert [path.name[:10] for path in files_in(tmp_path)] == ["long_00005", "long_00006"]


def test_size_counts_in_thousands(tmp_path: Path) -> None:
    files = several(tmp_path, Limits(kilobytes=2))
    files.write([packet(serial) for serial in range(60)])
    files.close(0)
    sizes = [path.stat().st_size for path in files_in(tmp_path)]
    assert all(2000 <= size < 2400 for size in sizes[:-1]), sizes
    assert len(sizes) > 3


def test_time_turns_the_page_also_when_nothing_comes(tmp_path: Path, clock: Clock) -> None:
    files = several(tmp_path, Limits(seconds=2.5))
    for step in (2.0, 0.6, 2.4, 0.2):
        clock.now += step
        files.write([])
    assert len(files_in(tmp_path)) == 3


def test_an_interval_is_a_multiple_of_the_clock_s(tmp_path: Path, clock: Clock) -> None:
    clock.now = 3599.0
    files = several(tmp_path, Limits(interval=3600))
    files.write([packet(1)])
    clock.now = 3600.5
    files.write([packet(2)])
    clock.now = 7199.0
    files.write([packet(3)])
    files.close(0)
    assert [len(content(path)[0]) for path in files_in(tmp_path)] == [1, 2]


def test_losses_add_up_over_the_files(tmp_path: Path) -> None:
    files = several(tmp_path, Limits(packets=2))
    files.write([packet(1, lost=2), packet(2), packet(3, lost=4)])
    files.close(10)
    assert [content(path)[1] for path in files_in(tmp_path)] == [2, 8]


@pytest.mark.parametrize(
    ("stop", "written"),
    [(Limits(packets=5), 5), (Limits(files=2), 6), (Limits(packets=4, files=3), 4)],
)
def test_limits_end_a_capture_of_several_files(tmp_path: Path, stop: Limits, written: int) -> None:
    files = several(tmp_path, Limits(packets=3), stop)
    taken = files.write([packet(serial) for serial in range(20)])
    assert files.done
    assert (len(taken), files.written) == (written, written)
    assert not files.write([packet(99)])
    files.close(0)
    assert sum(len(content(path)[0]) for path in files_in(tmp_path)) == written


def test_a_size_and_a_time_end_a_capture_of_one(tmp_path: Path, clock: Clock) -> None:
    files = CaptureFiles(lambda: create(tmp_path / "size"), Limits(kilobytes=1))
    files.open()
    files.write([packet(serial) for serial in range(60)])
    files.close(0)
    assert files.done
    assert 1000 <= (tmp_path / "size").stat().st_size < 1400
    files = CaptureFiles(lambda: create(tmp_path / "time"), Limits(seconds=1))
    files.open()
    files.write([packet(1)])
    assert not files.done
    clock.now += 1
    assert files.done
    assert len(files.write([packet(2)])) == 1, "what was on its way when the time was up is kept"


@pytest.fixture
def small_disk() -> Iterator[int]:
    """No file can be longer than this: the kernel writes what fits and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_001, hard))
    yield 20_001
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_full_disk_leaves_a_whole_file(tmp_path: Path, small_disk: int, batch: int) -> None:
    files = CaptureFiles(lambda: create(tmp_path / "full"))
    files.open()
    with pytest.raises(CaptureFileError, match="File too large"):
        for _ in range(1000):
            files.write([packet(serial) for serial in range(batch)])
    files.close(0)
    assert small_disk - 300 < (tmp_path / "full").stat().st_size <= small_disk
    assert len(content(tmp_path / "full")[0]) == files.written > 80


def piped(kind: str) -> tuple[BinaryIO, BinaryIO]:
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        near, far = socket.socketpair()
        reading, writing = near.detach(), far.detach()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_pipe_in_which_nothing_goes_has_a_pulse(clock: Clock, kind: str) -> None:
    """Else ssh would wait for the next packet before it finds that nobody reads what it brings."""
    reading, writing = piped(kind)
    files = CaptureFiles(lambda: writing)
    files.open()
    with reading:
        files.write([packet(1)])
        os.set_blocking(reading.fileno(), False)
        first = os.read(reading.fileno(), 1 << 16)
        clock.now += 0.5
        files.write([])
        with pytest.raises(BlockingIOError):
            os.read(reading.fileno(), 1 << 16)
        clock.now += 0.6
        files.write([])
        pulse = os.read(reading.fileno(), 1 << 16)
        assert 0 < len(pulse) < 32
        files.write([packet(2)])
        files.close(0)
        stream = first + pulse + os.read(reading.fileno(), 1 << 16)
    reader = Reader(io.BytesIO(stream))
    assert [frame.ts_ns for frame in reader] == [packet(1).ts_ns, packet(2).ts_ns]
    assert not reader.damage


def test_a_file_has_no_pulse(tmp_path: Path, clock: Clock) -> None:
    files = CaptureFiles(lambda: create(tmp_path / "file"))
    files.open()
    files.write([packet(1)])
    size = (tmp_path / "file").stat().st_size
    clock.now += 10
    files.write([])
    assert (tmp_path / "file").stat().st_size == size


def test_a_reader_that_has_gone_is_noticed() -> None:
    reading, writing = piped("pipe")
    files = CaptureFiles(lambda: writing)
    files.open()
    assert not files.done
    reading.close()
    assert files.done
    with contextlib.suppress(BrokenPipeError):
        writing.close()
