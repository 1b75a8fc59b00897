# SPDX-License-Identifier: GPL-2.0-or-later
"""This machine as a target."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qmisniff.capture.target import LocalTarget, start_time


def test_start_time_of_a_command_with_a_strange_name() -> None:
    stat = b"42 (evil) 1 2 3 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 98765 20 21\n"
    assert start_time(stat) == "98765"
    assert start_time(b"") == start_time(b"42 (short) S 1") == ""


def test_owner_names_this_process() -> None:
    pid, started = LocalTarget().owner().split("_")
    assert int(pid) == os.getpid()
    assert started == start_time(Path(f"/proc/{pid}/stat").read_bytes())


def test_lines_across_the_pieces_of_a_file(tmp_path: Path) -> None:
    line = b"x" * 63 + b"\n"
    content = line * 16383 + b"wanted and across the border of one MiB\n" + line * 5 + b"wanted, last, no newline"
    (tmp_path / "file").write_bytes(content)
    assert LocalTarget(str(tmp_path)).lines("/file", b"wanted") == [
        b"wanted and across the border of one MiB",
        b"wanted, last, no newline",
    ]


def test_append_adds_and_write_replaces(tmp_path: Path) -> None:
    target = LocalTarget(str(tmp_path))
    (tmp_path / "file").touch()
    target.write("/file", "one\n")
    target.append("/file", "two\n")
    assert target.read("/file") == b"one\ntwo\n"
    target.write("/file", "3")
    assert target.read("/file") == b"3"
    with pytest.raises(FileNotFoundError):
        target.append("/absent", "x")  # tracefs' files are there or they are not: none is made


def test_an_absent_directory_is_empty(tmp_path: Path) -> None:
    assert LocalTarget(str(tmp_path)).list("/nowhere") == []


def test_the_clocks() -> None:
    target = LocalTarget()
    assert abs(target.clock() + target.wall_clock_offset() - time.time_ns()) < 10_000_000


def test_pages_are_read_as_they_come_cpu_by_cpu(tmp_path: Path) -> None:
    pipes = {}
    for cpu in (0, 5):
        os.mkfifo(tmp_path / f"cpu{cpu}")
        pipes[cpu] = os.open(tmp_path / f"cpu{cpu}", os.O_RDWR | os.O_NONBLOCK)
    pages = LocalTarget(str(tmp_path)).pages({cpu: f"/cpu{cpu}" for cpu in pipes}, 16)
    assert not pages.wait(0.0)
    os.write(pipes[5], b"A" * 16 + b"B" * 16)
    os.write(pipes[0], b"C" * 16)
    assert pages.wait(1.0)
    assert pages.read() == ([(0, b"C" * 16), (5, b"A" * 16), (5, b"B" * 16)], True)
    os.write(pipes[0], b"x" * 16 * 600)
    batch = pages.read()
    assert (len(batch.pages), batch.drained) == (512, False)
    batch = pages.read()
    assert (len(batch.pages), batch.drained) == (88, True)
    pages.close()
    pages.close()


def test_a_pipe_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    (tmp_path / "cpu0").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        LocalTarget(str(tmp_path)).pages({0: "/cpu0", 1: "/cpu1"}, 16)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
