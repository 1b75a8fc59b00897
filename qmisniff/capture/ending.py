# SPDX-License-Identifier: GPL-2.0-or-later
"""The signals that end a capture. They are noted, so that it ends where everything is whole.

Before it has begun, somebody may have to be waited for: a machine that does not answer, a program that does not read.
Nothing is half done then, and a signal ends the wait at once.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_caught: list[int] = []  # since somebody began to note them
_waiting = False


class Interrupted(Exception):
    """A signal has ended a wait."""


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """Note the signals that end a capture instead of dying of them; restored on the way out."""

    def note(number: int, frame: FrameType | None) -> None:
        global _waiting
        _caught.append(number)
        if _waiting:
            _waiting = False  # once: what is cleaned up now is not to be disturbed
            raise Interrupted

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]  # nohup asked for it
    _caught.clear()
    for number in before:
        signal.signal(number, note)
    try:
        yield _caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _caught.clear()


@contextlib.contextmanager
def wait() -> Iterator[None]:
    """Within it, a signal that is noted raises Interrupted, and so does one that has been."""
    global _waiting
    try:
        _waiting = True
        if _caught:
            raise Interrupted
        yield
    finally:
        _waiting = False
