# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen: browse a capture file, a capture that comes through a pipe, or live traffic. Alone imports Textual."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qmisniff.errors import SourceUnavailable, UsageError
from qmisniff.tui.terminal import lasting_output, read_keys_from_terminal, take_stdin

if TYPE_CHECKING:
    from qmisniff.definitions import Registry
    from qmisniff.tui.session import Session


def run(*, file: str | None, interface: str | None, registry: Registry) -> int:
    """Look at a capture file (`-` for standard input) or at a source, by default whichever can run here.

    Returns the exit code. Raises UsageError, CaptureFileError, SourceUnavailable before the screen is touched.
    """
    if file is not None and interface is not None:
        raise UsageError("a file and a source at once", "leave out one of them")
    if not os.isatty(2):  # where Textual paints, so that a program's output can go elsewhere
        raise UsageError("the screen needs a terminal", "use `qmisniff read` to print a capture")
    session = _open_file(file, registry) if file is not None else _open_source(interface or "auto", registry)
    with lasting_output():
        try:
            from qmisniff.tui.app import QmisniffApp

            app = QmisniffApp(session)
            app.run()
        finally:
            if not session.feed.stop(1):
                print(f"qmisniff: {session.feed.name} is being stopped ...", file=sys.stderr)
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
        return Session(PipeInput(take_stdin(), "standard input"), Dissector(registry), Recording())
    source = FileInput(Path(name))
    read_keys_from_terminal()
    return Session(source, Dissector(registry))


def _open_source(name: str, registry: Registry) -> Session:
    from qmisniff.capture import open_source
    from qmisniff.dissect import Dissector
    from qmisniff.tui.feed import LiveInput
    from qmisniff.tui.recording import Recording
    from qmisniff.tui.session import Session

    read_keys_from_terminal()
    source = open_source(name)
    state = source.probe()
    if not state.ok:
        raise SourceUnavailable(state.reason, state.remedy)
    return Session(LiveInput(source, source.origin.name or name), Dissector(registry), Recording())
