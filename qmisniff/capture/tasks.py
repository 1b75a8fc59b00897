# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads and the processes they belong to: the kernel's records name the thread that ran, users know processes.

What runs at the start is taken from /proc; from then on the events task:task_newtask and task:task_rename tell, so
that a thread which is gone when its last packet is read still has its process.
"""

from __future__ import annotations

from typing import TypeVar

from qmisniff.capture.target import Target

_T = TypeVar("_T", int, str)

EVENTS = ("task_newtask", "task_rename")
_CLONE_THREAD = 0x10000
_MOST = 1 << 16  # threads remembered: old ones make room, their numbers are long taken by others


class Tasks:
    """Which process a thread belongs to, and its name."""

    def __init__(self) -> None:
        self._process: dict[int, int] = {}  # thread -> process, where they differ
        self._name: dict[int, str] = {}  # process -> name

    def snapshot(self, target: Target) -> None:
        """Learn the threads there are now."""
        for process in target.processes():
            self._name[process.pid] = process.name
            self._process.update((thread, process.pid) for thread in process.threads if thread != process.pid)

    def learn(self, thread: int, process: int, name: str) -> None:
        """A thread that runs now, its process, and what that is called."""
        _remember(self._name, process, name)
        if thread != process:
            _remember(self._process, thread, process)

    def created(self, parent: int, child: int, comm: str, flags: int) -> None:
        """A thread or process came to be (task_newtask)."""
        process = self._process.get(parent, parent)
        if flags & _CLONE_THREAD:
            _remember(self._process, child, process)
            if process not in self._name:
                _remember(self._name, process, comm)
        else:
            self._process.pop(child, None)
            _remember(self._name, child, comm)

    def renamed(self, thread: int, comm: str) -> None:
        """A thread took another name, or its process executed another program (task_rename)."""
        if thread not in self._process:
            _remember(self._name, thread, comm)

    def of(self, thread: int) -> tuple[int, str]:
        """Process and name of a thread of which nothing else is known; "" where the name is not."""
        process = self._process.get(thread, thread)
        return process, self._name.get(process, "")

    def process(self, thread: int, comm: str) -> tuple[int, str]:
        """Process and name of a thread that calls itself `comm`; the thread's own where nothing is known."""
        process = self._process.get(thread)
        if process is None:
            return thread, comm
        return process, self._name.get(process, comm)


def _remember(table: dict[int, _T], key: int, value: _T) -> None:
    table.pop(key, None)  # to the end of the order
    table[key] = value
    if len(table) > _MOST:
        del table[next(iter(table))]
