# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads and their processes."""

from __future__ import annotations

from pathlib import Path

from qmisniff.capture.target import LocalTarget
from qmisniff.capture.tasks import Tasks

THREAD = 0x10000  # CLONE_THREAD


def test_a_thread_is_its_process_also_when_it_calls_itself_something_else() -> None:
    tasks = Tasks()
    tasks.created(1, 100, "bash", 0)
    tasks.renamed(100, "qmicli")  # exec
    tasks.created(100, 101, "qmicli", THREAD)
    tasks.renamed(101, "gmain")
    assert tasks.process(101, "gmain") == (100, "qmicli")
    assert tasks.process(100, "qmicli") == (100, "qmicli")


def test_a_thread_of_a_thread_is_of_the_same_process() -> None:
    tasks = Tasks()
    tasks.created(100, 101, "worker", THREAD)
    tasks.created(101, 102, "pool", THREAD)
    assert tasks.process(102, "pool")[0] == 100


def test_a_number_taken_again_by_a_process_is_no_thread_any_more() -> None:
    tasks = Tasks()
    tasks.created(100, 101, "qmicli", THREAD)
    tasks.created(1, 101, "bash", 0)
    assert tasks.process(101, "bash") == (101, "bash")


def test_unknown_threads_stay_what_they_are() -> None:
    assert Tasks().process(7, "kworker/0:1") == (7, "kworker/0:1")


def test_what_ran_before(tmp_path: Path) -> None:
    for thread in (300, 301, 302):
        (tmp_path / f"proc/300/task/{thread}").mkdir(parents=True)
    (tmp_path / "proc/300/comm").write_text("ModemManager\n")
    (tmp_path / "proc/400/task/400").mkdir(parents=True)
    (tmp_path / "proc/500").mkdir()  # about to vanish
    (tmp_path / "proc/self").mkdir()
    tasks = Tasks()
    tasks.snapshot(LocalTarget(str(tmp_path)))
    assert tasks.process(302, "gdbus") == (300, "ModemManager")
    assert tasks.process(400, "sh") == (400, "sh")


def test_memory_is_bounded() -> None:
    tasks = Tasks()
    for number in range(100_000):
        tasks.created(1, 1000 + number, "fork", 0)
        tasks.created(1, 1_000_000 + number, "thread", THREAD)
    assert tasks.process(1_099_999, "thread") == (1, "thread")
    assert tasks.process(1_000_000, "x") == (1_000_000, "x")  # long forgotten
