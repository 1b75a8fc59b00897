# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: one function a verb, each importing what it needs when it runs.

stdout is data, stderr is narration. Exit codes are in EXIT_CODES below and in the README.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from qmisniff import __version__
from qmisniff.errors import CaptureFileError, QmisniffError, UsageError

if TYPE_CHECKING:
    from qmisniff.definitions import Registry
    from qmisniff.frame import Frame
    from qmisniff.store import Store

EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the file was damaged: everything before the damage has been read
  2  wrong usage, not a capture file, a broken definition
  3  the source cannot run here (stderr says what is missing and what would help)
  4  the source failed while running; what it had captured is saved"""

_EPILOG = f"""\
examples:
  qmisniff modem.pcapng                     look at a capture
  qmisniff capture -w modem.pcapng          capture until ctrl+c
  ssh phone qmisniff capture -w - | qmisniff tui -
  qmisniff read modem.pcapng -V             decode everything as text

{EXIT_CODES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not given:
        parser.print_help()
        return 0
    # `qmisniff FILE` is `qmisniff tui FILE`; a file named like a verb needs a path in front.
    if given[0] not in VERBS and not (given[0].startswith("-") and given[0] != "-"):
        given.insert(0, "tui")
    options = parser.parse_args(given)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except QmisniffError as error:
        print(f"qmisniff: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has had enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def capture(options: argparse.Namespace) -> int:
    """`qmisniff capture`: tap a source and write what it sees as pcapng."""
    from qmisniff.capture import open_source
    from qmisniff.capture.run import run

    source = open_source(options.interface)
    path = Path(options.write or _default_name())
    if options.write == "-":
        if sys.stdout.isatty():
            raise UsageError("-w - would write binary data to the terminal", "redirect it, or name a file")
        return run(source, sys.stdout.buffer, options.count, sys.stderr)
    with _create(path) as sink:
        if options.write is None:
            print(f"writing to {path}", file=sys.stderr)
        return run(source, sink, options.count, sys.stderr)


def read(options: argparse.Namespace) -> int:
    """`qmisniff read`: print a capture."""
    from qmisniff.capture_file import Reader
    from qmisniff.dissect import Dissector
    from qmisniff.export import Detail, open_format
    from qmisniff.store import Store

    with _open(options.file) as stream:
        reader = Reader(stream, options.file)
        dissector = Dissector(_registry(options))
        form = open_format(options.format, dissector, sys.stdout, Detail(options.tree, options.bytes))
        store = Store()
        for row in _rows(store, reader, stream.seekable()):
            form.write(store.frame(row), store.context(row))
            if row + 1 == options.count:
                break
        form.close()
    if reader.damage:
        print(f"qmisniff: {reader.damage}", file=sys.stderr)
        return 1
    return 0


def tui(options: argparse.Namespace) -> int:
    """`qmisniff tui`: look at a capture, or at live traffic."""
    from qmisniff.tui import run

    return run(file=options.file, interface=options.interface, registry=_registry(options))


def interfaces(options: argparse.Namespace) -> int:
    """`qmisniff interfaces`: every source, and whether it can run here."""
    from qmisniff.capture import BACKENDS, probe

    for name in BACKENDS:
        state = probe(name)
        print(f"{name:<10} {'ready' if state.ok else 'not here':<9} {state.reason}")
        if state.remedy and not state.ok:
            print(f"{'':<20} {state.remedy}")
    return 0


def _rows(store: Store, frames: Iterable[Frame], whole: bool) -> Iterator[int]:
    """The rows of a store as it fills: after all of a file, so that requests know their responses, or one by one."""
    if whole:
        store.extend(frames)
        yield from range(len(store))
        return
    for frame in frames:
        store.extend([frame])
        yield len(store) - 1
        sys.stdout.flush()


def _registry(options: argparse.Namespace) -> Registry:
    from qmisniff.definitions import open_registry

    return open_registry([Path(folder) for folder in options.dissectors or ()])


def _open(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise CaptureFileError(f"{name}: {error.strerror}", "") from None


def _create(path: Path) -> BinaryIO:
    """A new capture file that only its owner can read: captures hold identities."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise CaptureFileError(f"{path}: {error.strerror}", "choose another place with -w") from None


def _default_name() -> str:
    from datetime import datetime

    return f"qmisniff-{datetime.now():%Y%m%d-%H%M%S}.pcapng"


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="qmisniff",
        description="Capture, decode and browse Qualcomm QMI and QRTR traffic.",
        epilog=_EPILOG,
        formatter_class=shape,
    )
    parser.add_argument("--version", action="version", version=f"qmisniff {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(run: Callable[[argparse.Namespace], int], summary: str, *examples: str) -> argparse.ArgumentParser:
        epilog = "\n  ".join(["examples:", *examples])
        added = verbs.add_parser(
            run.__name__,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=shape,
        )
        added.set_defaults(run=run)
        return added

    added = verb(
        tui,
        "look at a capture or at live traffic",
        "qmisniff tui modem.pcapng",
        "qmisniff tui -i kernel",
        "ssh phone qmisniff capture -w - | qmisniff tui -",
    )
    added.add_argument("file", nargs="?", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("-i", dest="interface", metavar="SOURCE", help="a source of `qmisniff interfaces`")
    _definitions_option(added)

    added = verb(
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
    added.add_argument("-c", dest="count", metavar="N", type=_count, help="stop after N packets")

    added = verb(
        read,
        "print a capture",
        "qmisniff read modem.pcapng",
        "qmisniff read modem.pcapng -V -c 10",
        "qmisniff read modem.pcapng -T json | jq '.[].info'",
    )
    added.add_argument("file", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("-V", dest="tree", action="store_true", help="print the decoded tree of each packet")
    added.add_argument("-x", dest="bytes", action="store_true", help="print the bytes of each packet")
    added.add_argument("-T", dest="format", choices=("text", "json"), default="text", help="output format")
    added.add_argument("-c", dest="count", metavar="N", type=_count, help="stop after N packets")
    _definitions_option(added)

    verb(interfaces, "list every source, and whether it can run here", "qmisniff interfaces")
    return parser


def _definitions_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dissectors",
        metavar="DIR",
        action="append",
        help="a folder of definitions that add to or replace the shipped",
    )


VERBS = {verb.__name__ for verb in (tui, capture, read, interfaces)}
