# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs that print and show traffic."""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from typing import TYPE_CHECKING

from qmisniff.cli import printing
from qmisniff.cli.files import open_input
from qmisniff.cli.verbs import Verbs, definitions_option, packets, registry
from qmisniff.printable import plain

if TYPE_CHECKING:
    from qmisniff.store.load import Loader

_FEW, _MANY = 1 << 10, 1 << 13  # packets printed between two looks at the clock: the first soon, the others in bulk


def add(verbs: Verbs) -> None:
    """Add the verbs tui, read, interfaces."""
    added = verbs.add(
        tui,
        "look at a capture or at live traffic",
        "qmisniff tui modem.pcapng",
        "qmisniff tui modem.pcapng -Y 'qmi.service == nas'",
        "qmisniff tui -i kernel",
        "qmisniff tui -i kernel -w modem.pcapng",
        "ssh phone qmisniff capture -w - | qmisniff tui -",
    )
    added.add_argument("file", nargs="?", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("-i", dest="interface", metavar="SOURCE", help="a source of `qmisniff interfaces`")
    added.add_argument("-w", dest="write", metavar="FILE", help="record in this file what is captured")
    added.add_argument("-Y", dest="filter", metavar="FILTER", help="begin with this display filter")
    definitions_option(added)

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
    printing.options(added)
    added.add_argument("-c", dest="count", metavar="N", type=packets, help="read N packets, then stop")

    verbs.add(interfaces, "list every source, and whether it can run here", "qmisniff interfaces")


def read(options: argparse.Namespace) -> int:
    """`qmisniff read`: print a capture."""
    from qmisniff.store.load import Loader, PipeReader

    with open_input(options.file) as stream, registry(options) as definitions:
        reader = Loader(stream, options.file) if stream.seekable() else PipeReader(stream, options.file)
        printer = printing.Printer(options, definitions, sys.stdout)
        if isinstance(reader, Loader):
            _print_file(reader, printer, options.count)
        else:
            live = printing.LivePrinter(printer)
            for frame in islice(reader, options.count):
                live.print([frame])
            live.close()
    if reader.damage:
        print(f"qmisniff: {plain(reader.damage)}", file=sys.stderr)
        return 1
    return 0


def tui(options: argparse.Namespace) -> int:
    """`qmisniff tui`: look at a capture, or at live traffic."""
    from qmisniff.tui import run

    with registry(options) as definitions:
        return run(
            file=options.file,
            interface=options.interface,
            write=options.write,
            display_filter=options.filter,
            registry=definitions,
        )


def interfaces(options: argparse.Namespace) -> int:
    """`qmisniff interfaces`: every source, and whether it can run here."""
    from qmisniff.capture import names, probe, view

    for name in names():
        state = probe(name)
        print(f"{name:<10} {'ready' if state.ok else 'not here':<9} {state.reason}")
        if state.remedy and not state.ok:
            print(f"{'':<20} {state.remedy}")
        seen = view(name)
        print(f"{'':<20} sees: {seen.sees}")
        print(f"{'':<20} does not see: {seen.misses}")
    return 0


def _print_file(loader: Loader, printer: printing.Printer, count: int | None) -> None:
    """Print the first `count` packets of a file, once they are loaded: requests then know their responses."""
    from qmisniff.cli.progress import Progress
    from qmisniff.store import Store

    store = Store()
    with Progress(sys.stderr, sys.stdout) as progress:
        for loaded in loader.into(store):
            progress.at("reading", loaded)
            if count is not None and loaded >= count:
                break
        stop = len(store) if count is None else min(count, len(store))
        if printer.chosen is None:
            start, size = 0, _FEW
            while start < stop:
                end = min(start + size, stop)
                printer.format.rows(store, range(start, end))
                progress.at("printing", end, stop)
                start, size = end, min(2 * size, _MANY)
        else:
            for found in printer.chosen.rows(store, printer.dissector, 0, stop):
                printer.format.rows(store, found.rows)
                progress.at("filtering", found.stop, stop)
        printer.format.close()
