# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: one function a verb, each importing what it needs when it runs.

stdout is data, stderr is narration. Exit codes are in EXIT_CODES below and in the README.
"""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from qmisniff import __version__
from qmisniff.cli import capture, decode, definitions, exports, extcap, serve, statistics, traffic
from qmisniff.cli.verbs import CommandLine, Verbs, did_you_mean
from qmisniff.errors import QmisniffError, UsageError
from qmisniff.printable import plain

EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the file was damaged: everything before the damage has been read
  2  wrong usage, not a capture file, a broken definition, a full disk
  3  the source cannot run here (stderr says what is missing and what would help)
  4  the source failed while running; what it had captured is saved"""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # EIO: a terminal that has been closed
COLLECTIONS = (20_000, 50, 100)

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
    _open_standard_files()
    # Definitions and decoders are a hundred thousand objects that stay, and hardly anything makes garbage that only the
    # collector finds: as often as by default, it takes a tenth of the time of `read -T ndjson`.
    gc.set_threshold(*COLLECTIONS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, verbs = command_line()
    if not given and not (sys.stdin.isatty() and sys.stderr.isatty()):
        parser.print_help()
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to stop
    try:
        options = _understood(given, parser, verbs)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except QmisniffError as error:
        print("qmisniff: " + "\n".join(plain(line) for line in str(error).split("\n")), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has had enough
        _print_nowhere()
        return 0
    except OSError as error:
        if error.filename is not None:
            problem = f"{error.filename}: {error.strerror}"
        elif error.errno in _CANNOT_WRITE:
            _print_nowhere()
            problem = f"standard output: {error.strerror}"
        else:
            raise
        print(plain(f"qmisniff: {problem}"), file=sys.stderr)
        return UsageError.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _print_nowhere() -> None:
    """Keep the interpreter from trying once more, at its exit, to write what it could not, and complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_files() -> None:
    """Open those that whoever started this has closed: a capture file would take their place, with errors in it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - until the end


def _understood(given: list[str], parser: argparse.ArgumentParser, verbs: Verbs) -> argparse.Namespace:
    """What a command line says. `qmisniff FILE` is `qmisniff tui FILE`; a file named like a verb needs a path in front.

    Raises UsageError where it says nothing that is known.
    """
    words = given or ["tui"]
    first = words[0]
    if first not in verbs.names and (first == "-" or not first.startswith("-")):
        if re.fullmatch(r"\w+", first) and not Path(first).exists():
            hint = did_you_mean(first, verbs.names) or "`qmisniff --help` lists the verbs"
            raise UsageError(f"{first} is neither a verb nor a file", hint)
        words = ["tui", *words]
    options, unknown = parser.parse_known_args(words, argparse.Namespace(words=words))
    if unknown:
        options.verb.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def command_line() -> tuple[argparse.ArgumentParser, Verbs]:
    """The parser of command lines, and the verbs it knows."""
    parser = CommandLine(
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
