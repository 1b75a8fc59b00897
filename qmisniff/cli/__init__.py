# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: one function a verb, each importing what it needs when it runs.

stdout is data, stderr is narration. Exit codes are in EXIT_CODES below and in the README.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence

from qmisniff import __version__
from qmisniff.cli import capture, decode, definitions, exports, extcap, serve, statistics, traffic
from qmisniff.cli.verbs import Verbs
from qmisniff.errors import QmisniffError
from qmisniff.printable import plain

EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the file was damaged: everything before the damage has been read
  2  wrong usage, not a capture file, a broken definition, a full disk
  3  the source cannot run here (stderr says what is missing and what would help)
  4  the source failed while running; what it had captured is saved"""

_COLLECTIONS = (20_000, 50, 100)
_EPILOG = f"""\
examples:
  qmisniff modem.pcapng                     look at a capture
  qmisniff capture -w modem.pcapng          capture until ctrl+c
  ssh phone qmisniff capture -w - | qmisniff tui -
  qmisniff read modem.pcapng -V             decode everything as text
  qmisniff decode --service dms 00 01 00 25 00 00 00

{EXIT_CODES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    # numpy brings a library of linear algebra, which nothing here uses: starting its threads is half of numpy's import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Definitions and decoders are a hundred thousand objects that stay, and hardly anything makes garbage that only the
    # collector finds: as often as by default, it takes a tenth of the time of `read -T ndjson`.
    gc.set_threshold(*_COLLECTIONS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, verbs = command_line()
    if not given and not (sys.stdin.isatty() and sys.stderr.isatty()):
        parser.print_help()
        return 0
    # `qmisniff FILE` is `qmisniff tui FILE`; a file named like a verb needs a path in front.
    if not given:
        given = ["tui"]
    elif given[0] not in verbs.names and not (given[0].startswith("-") and given[0] != "-"):
        given.insert(0, "tui")
    options = parser.parse_args(given, argparse.Namespace(words=given))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to stop
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except QmisniffError as error:
        print("qmisniff: " + "\n".join(plain(line) for line in str(error).split("\n")), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has had enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def command_line() -> tuple[argparse.ArgumentParser, Verbs]:
    """The parser of command lines, and the verbs it knows."""
    parser = argparse.ArgumentParser(
        prog="qmisniff",
        description="Capture, decode and browse Qualcomm QMI and QRTR traffic.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"qmisniff {__version__}")
    verbs = Verbs(parser)
    for group in (capture, traffic, serve, statistics, decode, exports, extcap, definitions):
        group.add(verbs)
    return parser, verbs
