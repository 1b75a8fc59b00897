# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen: browse a capture file, a capture that comes through a pipe, or live traffic. Alone imports Textual."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qmisniff.errors import UsageError

if TYPE_CHECKING:
    from qmisniff.definitions import Registry
    from qmisniff.tui.session import Session


def run(*, file: str | None, interface: str | None, registry: Registry) -> int:
    """Look at a capture file (`-` for standard input) or at a source, by default whichever can run here.

    Returns the exit code. Raises UsageError, CaptureFileError, SourceUnavailable before the screen is touched.
    """
    if file is not None and interface is not None:
        raise UsageError("a file and a source at once", "leave out one of them")
    if not sys.stdout.isatty():
        raise UsageError("the screen needs a terminal", "use `qmisniff read` to print a capture")
    session = _open_file(file, registry) if file is not None else _open_source(interface or "auto", registry)
    try:
        from qmisniff.tui.app import QmisniffApp

        app = QmisniffApp(session)
        app.run()
    finally:
        kept = session.close()
        if kept is not None:
            print(f"qmisniff: the unsaved capture is in {kept}", file=sys.stderr)
    if session.feed.error is not None:
        print(f"qmisniff: {session.feed.error}", file=sys.stderr)
        return session.feed.error.exit_code
    if session.feed.damage:
        print(f"qmisniff: {session.feed.damage}", file=sys.stderr)
        return 1
    return app.return_code or 0


def _open_file(name: str, registry: Registry) -> Session:
    from qmisniff.dissect import Dissector
    from qmisniff.tui.feed import FileInput, PipeInput
    from qmisniff.tui.recording import Recording
    from qmisniff.tui.session import Session

    if name == "-":
        return Session(PipeInput(_take_stdin(), "standard input"), Dissector(registry), Recording())
    return Session(FileInput(Path(name)), Dissector(registry))


def _open_source(name: str, registry: Registry) -> Session:
    from qmisniff.capture import open_source
    from qmisniff.dissect import Dissector
    from qmisniff.tui.feed import LiveInput
    from qmisniff.tui.recording import Recording
    from qmisniff.tui.session import Session

    source = open_source(name)
    recording = Recording()
    try:
        source.open()
    except BaseException:
        recording.close(0)
        recording.discard()
        raise
    return Session(LiveInput(source, source.origin.name or name), Dissector(registry), recording)


def _take_stdin() -> int:
    """A descriptor of what standard input is; keys come from the terminal from here on."""
    if sys.stdin.isatty():
        raise UsageError("standard input is the terminal", "pipe a capture into it")
    descriptor = os.dup(0)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(f"no terminal to read keys from: {error.strerror}", "use `qmisniff read -`") from None
    os.dup2(terminal, 0)
    os.close(terminal)
    return descriptor
