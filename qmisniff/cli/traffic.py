# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs that capture, print and show traffic."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from qmisniff.cli.files import create, open_input
from qmisniff.cli.verbs import FORMATS, Verbs, definitions_option, registry
from qmisniff.errors import UsageError
from qmisniff.printable import plain

if TYPE_CHECKING:
    from qmisniff.cli.progress import Progress
    from qmisniff.dissect import Dissector
    from qmisniff.filter import Filter
    from qmisniff.store import Store
    from qmisniff.store.load import Loader, PipeReader

_AT_ONCE = 4096  # packets printed between two looks at the clock


def add(verbs: Verbs) -> None:
    """Add the verbs tui, capture, read, interfaces."""
    added = verbs.add(
        tui,
        "look at a capture or at live traffic",
        "qmisniff tui modem.pcapng",
        "qmisniff tui -i kernel",
        "ssh phone qmisniff capture -w - | qmisniff tui -",
    )
    added.add_argument("file", nargs="?", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("-i", dest="interface", metavar="SOURCE", help="a source of `qmisniff interfaces`")
    definitions_option(added)

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
    added.add_argument("-c", dest="count", metavar="N", type=_count, help="stop after N packets")

    added = verbs.add(
        read,
        "print a capture",
        "qmisniff read modem.pcapng",
        "qmisniff read modem.pcapng -V -c 10",
        "qmisniff read modem.pcapng -T json | jq '.[].info'",
        "qmisniff read modem.pcapng -T ndjson | grep get_signal_info",
        "qmisniff read modem.pcapng -T fields -e frame.number -e qmi.msgid -E header=y",
        "qmisniff read modem.pcapng -Y 'qmi.service == nas && qmi.result != success'",
    )
    added.add_argument("file", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("-V", dest="tree", action="store_true", help="print the decoded tree of each packet")
    added.add_argument("-x", dest="bytes", action="store_true", help="print the bytes of each packet")
    added.add_argument("-T", dest="format", choices=FORMATS, default="text", help="output format")
    added.add_argument(
        "-e", dest="fields", metavar="FIELD", action="append", help="a field to print with -T fields or csv"
    )
    added.add_argument(
        "-E",
        dest="options",
        metavar="OPTION",
        action="append",
        help="header=y|n, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n: how -T fields and csv look",
    )
    added.add_argument("-c", dest="count", metavar="N", type=_count, help="read N packets, then stop")
    added.add_argument("-Y", dest="filter", metavar="FILTER", help="print only packets that pass a display filter")
    definitions_option(added)

    verbs.add(interfaces, "list every source, and whether it can run here", "qmisniff interfaces")


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


def read(options: argparse.Namespace) -> int:
    """`qmisniff read`: print a capture."""
    from qmisniff.cli.progress import Progress
    from qmisniff.dissect import Dissector
    from qmisniff.export import Detail, open_format
    from qmisniff.filter import compile_filter
    from qmisniff.store import Store
    from qmisniff.store.load import Loader, PipeReader

    with open_input(options.file) as stream, registry(options) as definitions:
        reader = Loader(stream, options.file) if stream.seekable() else PipeReader(stream, options.file)
        if (options.fields or options.options) and options.format not in ("fields", "csv"):
            raise UsageError("-e and -E go with -T fields and -T csv")
        fields, layout = tuple(options.fields or ()), tuple(options.options or ())
        detail = Detail(tree=options.tree, bytes=options.bytes, fields=fields, options=layout)
        dissector = Dissector(definitions)
        chosen = compile_filter(options.filter, definitions) if options.filter is not None else None
        form = open_format(options.format, dissector, sys.stdout, detail)
        store = Store()
        with Progress(sys.stderr, sys.stdout) as progress:
            for rows in _rows(store, reader, chosen, dissector, options.count, progress):
                form.rows(store, rows)
            form.close()
    if reader.damage:
        print(f"qmisniff: {plain(reader.damage)}", file=sys.stderr)
        return 1
    return 0


def tui(options: argparse.Namespace) -> int:
    """`qmisniff tui`: look at a capture, or at live traffic."""
    from qmisniff.tui import run

    with registry(options) as definitions:
        return run(file=options.file, interface=options.interface, registry=definitions)


def interfaces(options: argparse.Namespace) -> int:
    """`qmisniff interfaces`: every source, and whether it can run here."""
    from qmisniff.capture import names, probe

    for name in names():
        state = probe(name)
        print(f"{name:<10} {'ready' if state.ok else 'not here':<9} {state.reason}")
        if state.remedy and not state.ok:
            print(f"{'':<20} {state.remedy}")
    return 0


def _rows(
    store: Store,
    source: Loader | PipeReader,
    chosen: Filter | None,
    dissector: Dissector,
    count: int | None,
    progress: Progress,
) -> Iterator[Sequence[int]]:
    """The rows to print, out of the first `count`, as the store fills: after all of a file, so that requests know their
    responses, or one by one."""
    if not isinstance(source, Iterable):
        for loaded in source.into(store):
            progress.at("reading", loaded)
        stop = len(store) if count is None else min(count, len(store))
        if chosen is None:
            for start in range(0, stop, _AT_ONCE):
                yield range(start, min(start + _AT_ONCE, stop))
                progress.at("printing", start + _AT_ONCE, stop)
            return
        for found in chosen.rows(store, dissector, 0, stop):
            yield found.rows
            progress.at("filtering", found.stop, stop)
        return
    for frame in source:
        store.extend([frame])
        row = len(store) - 1
        if chosen is None or chosen.matches(store.frame(row), store.context(row), dissector):
            yield [row]
            sys.stdout.flush()
        if len(store) == count:
            return


def _default_name() -> str:
    from datetime import datetime

    return f"qmisniff-{datetime.now():%Y%m%d-%H%M%S}.pcapng"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of packets")
    return int(text)
