# SPDX-License-Identifier: GPL-2.0-or-later
"""The verb that captures."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from qmisniff.cli.files import create
from qmisniff.cli.verbs import Verbs, packets
from qmisniff.errors import UsageError


def add(verbs: Verbs) -> None:
    """Add the verb."""
    added = verbs.add(
        capture,
        "tap a source and write what it sees as pcapng",
        "qmisniff capture -w modem.pcapng",
        "qmisniff capture -w - | qmisniff read -",
        "qmisniff capture -c 100",
    )
    added.add_argument(
        "-i", dest="interface", metavar="SOURCE", default="auto", help="a source of `qmisniff interfaces`"
    )
    added.add_argument("-w", dest="write", metavar="FILE", help="the file to write, - for standard output")
    added.add_argument("-c", dest="count", metavar="N", type=packets, help="stop after N packets")


def capture(options: argparse.Namespace) -> int:
    """`qmisniff capture`: tap a source and write what it sees as pcapng."""
    from qmisniff.capture import open_source
    from qmisniff.capture.run import run

    source = open_source(options.interface)
    path = Path(options.write or _default_name())
    if options.write == "-":
        if sys.stdout.isatty():
            raise UsageError("-w - would write binary data to the terminal", "redirect it, or name a file")
        return run(source, lambda: sys.stdout.buffer, options.count, sys.stderr)
    with ExitStack() as stack:

        def sink() -> BinaryIO:
            if options.write is None:
                print(f"writing to {path}", file=sys.stderr)
            return stack.enter_context(create(path))

        return run(source, sink, options.count, sys.stderr)


def _default_name() -> str:
    from datetime import datetime

    return f"qmisniff-{datetime.now():%Y%m%d-%H%M%S}.pcapng"
