# SPDX-License-Identifier: GPL-2.0-or-later
"""The verb that puts the screen into a browser."""

from __future__ import annotations

import argparse
import shlex
import sys

from qmisniff.cli.files import open_input
from qmisniff.cli.verbs import Verbs
from qmisniff.errors import SourceUnavailable, UsageError


def add(verbs: Verbs) -> None:
    """Add the verb serve."""
    added = verbs.add(
        serve,
        "show the screen in a browser",
        "qmisniff serve modem.pcapng",
        "qmisniff serve --port 9000",
        notes="Whoever can reach the address sees the captures and can read files: it is this machine's own alone "
        "unless --host says otherwise. Needs the Python package textual-serve.",
    )
    added.add_argument("file", nargs="?", metavar="FILE", help="a pcapng or pcap file")
    added.add_argument("-i", dest="interface", metavar="SOURCE", help="a source of `qmisniff interfaces`")
    added.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="the address to listen at (127.0.0.1)")
    added.add_argument("--port", default=8000, type=_port, metavar="N", help="the port to listen at (8000)")


def serve(options: argparse.Namespace) -> int:
    """`qmisniff serve`: show the screen in a browser."""
    try:
        from qmisniff.tui.browser import PageServer, is_loopback
    except ImportError:
        raise UsageError("serve needs the Python package textual-serve", "pip install textual-serve") from None
    if options.file == "-":
        raise UsageError("a browser cannot be shown standard input", "save it to a file first")
    _check(options)
    if not is_loopback(options.host):
        print(
            f"qmisniff: warning: everybody who can reach {options.host}:{options.port} sees the captures, and can read "
            "and write files as you; nothing is encrypted",
            file=sys.stderr,
        )
    words = [sys.executable, "-m", "qmisniff", "tui"]
    words += ["-i", options.interface] if options.interface is not None else []
    words += ["--", options.file] if options.file is not None else []
    PageServer(shlex.join(words), options.host, options.port).serve()
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises what every page would only say when it is opened: there is no such file, the source cannot run here."""
    from qmisniff.capture import open_source
    from qmisniff.store.load import Loader

    if options.file is not None and options.interface is not None:
        raise UsageError("a file and a source at once", "leave out one of them")
    if options.file is not None:
        with open_input(options.file) as stream:
            Loader(stream, options.file)
    if options.interface is not None:
        source = open_source(options.interface)
        state = source.probe()
        source.close()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
