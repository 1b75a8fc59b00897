# SPDX-License-Identifier: GPL-2.0-or-later
"""The terminal as a thing outside of the program: where keys come from, and that it may go away at any moment."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO, cast

from qmisniff.errors import UsageError


def take_stdin() -> int:
    """A descriptor of what standard input is; keys come from the terminal from here on. Raises UsageError."""
    if os.isatty(0):
        raise UsageError("standard input is the terminal", "pipe a capture into it")
    descriptor = os.dup(0)
    try:
        read_keys_from_terminal()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_keys_from_terminal() -> None:
    """Make standard input the terminal where it is not. Raises UsageError where there is none."""
    if os.isatty(0):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"no terminal to read keys from: {error.strerror}", "use `qmisniff read`") from None
    os.dup2(terminal, 0)
    os.close(terminal)


class _Output(io.TextIOBase):
    """A terminal's output that takes what it is given even when the terminal is gone.

    Textual writes from a thread of its own. An error there would end that thread, and whoever writes after would wait
    for it for ever: neither the source would be closed nor the capture.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            self._terminal.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._terminal.flush()

    def fileno(self) -> int:
        return self._terminal.fileno()

    def isatty(self) -> bool:
        return self._terminal.isatty()


@contextlib.contextmanager
def lasting_output() -> Iterator[None]:
    """Within, Textual's output never fails, and neither does what is printed to stderr."""
    before = sys.__stderr__, sys.stderr
    output = cast(TextIO, _Output(sys.stderr))
    # An exported size is that of some other window, and would outlive every resize: the terminal knows better.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    sys.__stderr__ = sys.stderr = output  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        sys.__stderr__, sys.stderr = before  # type: ignore[misc]


def when_gone(leave: Callable[[], object]) -> None:
    """Call `leave`, from the main thread between two of its instructions, when the terminal goes away (SIGHUP)."""

    def gone(number: int, frame: FrameType | None) -> None:
        # The kernel wakes the processes of a terminal that goes away; Textual would take that for the end of a
        # suspension and set up its screen again.
        signal.signal(signal.SIGCONT, lambda *_: None)
        try:
            termios.tcgetattr(0)  # it is still there when it was only a `kill -HUP`
        except termios.error:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 2):  # what Textual reads and paints
                os.dup2(nothing, descriptor)
            os.close(nothing)
        leave()

    signal.signal(signal.SIGHUP, gone)
