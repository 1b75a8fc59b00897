# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen: browse a capture file, a capture that comes through a pipe, or live traffic. Alone imports Textual."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qmisniff.errors import UsageError
from qmisniff.tui.terminal import lasting_output, read_keys_from_terminal, take_stdin

if TYPE_CHECKING:
    from qmisniff.definitions import Registry
    from qmisniff.tui.session import Session


def run(
    *, file: str | None, interface: str | None, write: str | None, display_filter: str | None, registry: Registry
) -> int:
    """Look at a capture file (`-` for standard input) or at a source; without either, choose on the screen.

    `write` names a file that a source or standard input is recorded in. Returns the exit code.

    Raises UsageError, FilterError, CaptureFileError, SourceUnavailable before the screen is touched.
    """
    if file is not None and interface is not None:
        raise UsageError("a file and a source at once", "leave out one of them")
    if write is not None and interface is None and file != "-":
        raise UsageError("-w records what is captured", "name a source with -i, or - for standard input")
    if write == "-":
        raise UsageError("the screen records in a file only", "name one with -w")
    if display_filter is not None:
        if file is None and interface is None:
            raise UsageError("-Y filters a capture", "name a file, or a source with -i")
        from qmisniff.filter import compile_filter

        compile_filter(display_filter, registry)
    record = Path(write) if write is not None else None
    served = "TEXTUAL_DRIVER" in os.environ  # by `qmisniff serve`: keys and pictures go through pipes
    if not served and not os.isatty(2):  # where Textual paints, so that a program's output can go elsewhere
        raise UsageError("the screen needs a terminal", "use `qmisniff read` to print a capture")
    from qmisniff.tui.opening import Opener

    opener = Opener(registry)
    session: Session | None = None
    if file == "-":
        session = opener.pipe(take_stdin(), record)
    else:
        if file is not None:
            session = opener.file(Path(file))
        if not served:
            read_keys_from_terminal()
        if interface is not None:
            session = opener.source(interface, record)
    with lasting_output():
        try:
            from qmisniff.tui.app import QmisniffApp

            app = QmisniffApp(session, registry, display_filter or "")
            app.run()
            session = app.session
        finally:
            if session is not None:
                _close(session)
        error = session.error if session is not None else None
        if error is not None:
            print(f"qmisniff: {error}", file=sys.stderr)
            return error.exit_code
        if session is not None and session.feed.damage:
            print(f"qmisniff: {session.feed.damage}", file=sys.stderr)
            return 1
        return app.return_code or 0


def _close(session: Session) -> None:
    """End the capture, and say where it is when nobody saved all of it."""
    if not session.feed.stop(1):
        print(f"qmisniff: {session.feed.name} is being stopped ...", file=sys.stderr)
    kept = session.close()
    if kept is not None:
        print(f"qmisniff: what was captured is in {kept}", file=sys.stderr)
