# SPDX-License-Identifier: GPL-2.0-or-later
"""The verb that captures: into a file, into one file after the other, onto the screen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from qmisniff.cli import printing
from qmisniff.cli.files import say
from qmisniff.cli.tuning import CAPTURE_FILTERS, tuning, tuning_options
from qmisniff.cli.verbs import Verbs, packets, registry
from qmisniff.errors import UsageError

if TYPE_CHECKING:
    from qmisniff.capture.files import CaptureFiles
    from qmisniff.capture.source import Source, Tuning
    from qmisniff.frame import Frame

_NOTES = """\
-P and the options below it print what is captured, and save it only where -w says so. A display filter chooses what is
printed: the file gets all. Started as root, it goes on as the user who called sudo, or as nobody, once it captures."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    added = verbs.add(
        capture,
        "tap a source and write what it sees as pcapng",
        "qmisniff capture -w modem.pcapng",
        "qmisniff capture -w - | qmisniff read -",
        "qmisniff capture -c 100",
        "qmisniff capture -P -Y 'qmi.service == nas'",
        "qmisniff capture -w modem.pcapng -b filesize:10000 -b files:10",
        "qmisniff capture -w modem.pcapng -a duration:60",
        "qmisniff capture --wait -w boot.pcapng",
        "qmisniff capture -f 'node 0 and not port 0x4001' -s 256 -B 16",
        notes=f"{_NOTES}\n\n{CAPTURE_FILTERS}",
    )
    added.add_argument(
        "-i", dest="interface", metavar="SOURCE", action="append", help="a source of `qmisniff interfaces`"
    )
    added.add_argument("--wait", action="store_true", help="wait for QRTR where its module is not loaded yet")
    added.add_argument("-w", dest="write", metavar="FILE", help="the file to write, - for standard output")
    added.add_argument("-c", dest="count", metavar="N", type=packets, help="stop after N packets")
    added.add_argument(
        "-a",
        dest="stop",
        metavar="CONDITION",
        action="append",
        default=[],
        help="stop after duration:SECONDS, filesize:KB, files:N or packets:N; may be given several times",
    )
    added.add_argument(
        "-b",
        dest="switch",
        metavar="CONDITION",
        action="append",
        default=[],
        help="go on in another file, FILE_NNNNN_TIME, after duration:SECONDS, filesize:KB or packets:N, or at "
        "multiples of interval:SECONDS; files:N keeps the last N",
    )
    tuning_options(added)
    added.add_argument("-P", dest="show", action="store_true", help="print a line a packet, also with -w")
    added.add_argument(
        "--systemd-unit",
        dest="unit",
        action="store_true",
        help="capture nothing; print a systemd service that does what this command line says",
    )
    printing.options(added)


def capture(options: argparse.Namespace) -> int:
    """`qmisniff capture`: tap a source and write what it sees as pcapng."""
    from qmisniff.capture import open_source
    from qmisniff.capture.run import run

    shown = options.show or printing.asked(options)
    if shown and options.write == "-":
        raise UsageError("-w - and printing both need standard output", "-w FILE")
    files = _files(options, shown)
    tuned = tuning(options)
    if options.unit:
        return _print_unit(options)
    spec, *others = options.interface or ["auto"]
    if others:
        raise UsageError("a capture has one source", "capture each into a file of its own; mergecap puts them together")
    source = _waited_for(spec, tuned) if options.wait else open_source(spec, tuned)
    if not shown:
        return run(source, files, sys.stderr)
    with ExitStack() as stack:
        return run(source, files, sys.stderr, _shower(options, stack))


def _waited_for(spec: str, tuned: Tuning) -> Source:
    """The kernel tap that `spec` names, once there is something to tap."""
    from qmisniff.capture import open_source
    from qmisniff.capture.tap import KernelTap

    source = open_source("kernel" if spec == "auto" else spec, tuned)
    if not isinstance(source, KernelTap):
        raise UsageError(f"--wait is for taps of a kernel, {spec!r} is none", "capture -i kernel --wait")
    source.wait(_waiting)
    return source


def _waiting(text: str) -> None:
    """Say what is waited for; a service manager would otherwise take it for a start that hangs."""
    from qmisniff.capture.systemd import ready

    say(text)
    ready()


def _files(options: argparse.Namespace, shown: bool) -> CaptureFiles:
    """Where the packets go. Raises UsageError."""
    from qmisniff.capture.files import CaptureFiles, NumberedFiles, create
    from qmisniff.capture.limits import stop_limits, switch_limits

    stop, switch = stop_limits(options.stop), switch_limits(options.switch)
    if options.count is not None:
        stop = stop._replace(packets=min(options.count, stop.packets or options.count))
    several = bool(options.switch) or stop.files is not None
    if several and (options.write == "-" or (options.write is None and shown)):
        raise UsageError("-b and -a files need files to write", "-w FILE")
    if several and not any((switch.packets, switch.kilobytes or stop.kilobytes, switch.seconds, switch.interval)):
        raise UsageError("nothing says when to go on to the next file", "-b filesize:KB or -b duration:S")
    if options.write == "-":
        if sys.stdout.isatty() and not options.unit:
            raise UsageError("-w - would write binary data to the terminal", "redirect it, or name a file")
        return CaptureFiles(lambda: os.fdopen(os.dup(sys.stdout.fileno()), "wb"), stop)
    if options.write is None and shown:
        return CaptureFiles(lambda: Path(os.devnull).open("wb"), stop)
    path = Path(_default_name() if options.write is None else options.write)
    if not path.name:
        raise UsageError(f"-w {options.write!r} names no file", "-w FILE")
    opener = NumberedFiles(path, switch.files) if several else partial(create, path)
    if options.write is None:
        opener = partial(_announced, opener)
    return CaptureFiles(opener, stop, switch if several else None)


def _announced(opener: Callable[[], BinaryIO]) -> BinaryIO:
    """Open a file whose name nobody gave."""
    stream = opener()
    print(f"writing to {stream.name}", file=sys.stderr)
    return stream


def _shower(options: argparse.Namespace, stack: ExitStack) -> Callable[[Sequence[Frame]], bool]:
    """What prints frames; it says whether anybody still reads that. Raises UsageError."""
    from qmisniff.capture.files import deserted

    definitions = stack.enter_context(registry(options))
    if os.geteuid() == 0:
        # Whom this process becomes may not be able to read the definitions: they are read now, not when needed.
        for number in list(definitions.headers):
            definitions.service(number)
    live = printing.LivePrinter(printing.Printer(options, definitions, sys.stdout))
    stack.callback(live.close)

    def show(frames: Sequence[Frame]) -> bool:
        try:
            live.print(frames)
        except BrokenPipeError:
            return False
        return not deserted(sys.stdout.buffer)

    return show


def _print_unit(options: argparse.Namespace) -> int:
    """Print a service that runs this command line where it is run now."""
    from qmisniff.capture.systemd import unit

    if options.write in (None, "-"):
        raise UsageError("a service needs a file to write", "-w /var/lib/qmisniff/modem.pcapng")
    # Also as it may be abbreviated: the service would do nothing but print itself.
    words = [word for word in options.words if not (word.startswith("--s") and "--systemd-unit".startswith(word))]
    command = [sys.executable, "-m", "qmisniff", *words]
    print(unit(command, Path.cwd(), Path(options.write).absolute().parent), end="")
    return 0


def _default_name() -> str:
    from datetime import datetime

    return f"qmisniff-{datetime.now():%Y%m%d-%H%M%S}.pcapng"
