# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as text on standard output: the options that say how, and printing them while they come."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from qmisniff.cli.verbs import FORMATS, definitions_option
from qmisniff.errors import UsageError

if TYPE_CHECKING:
    from qmisniff.definitions import Registry
    from qmisniff.filter import Filter
    from qmisniff.frame import Frame


def options(parser: argparse.ArgumentParser) -> None:
    """-V, -x, -T, -e, -E, -Y, --dissectors."""
    parser.add_argument("-V", dest="tree", action="store_true", help="print the decoded tree of each packet")
    parser.add_argument("-x", dest="bytes", action="store_true", help="print the bytes of each packet")
    parser.add_argument("-T", dest="format", choices=FORMATS, help="output format, text where left out")
    parser.add_argument(
        "-e", dest="fields", metavar="FIELD", action="append", help="a field to print with -T fields or csv"
    )
    parser.add_argument(
        "-E",
        dest="options",
        metavar="OPTION",
        action="append",
        help="header=y|n, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n: how -T fields and csv look",
    )
    parser.add_argument("-Y", dest="filter", metavar="FILTER", help="print only packets that pass a display filter")
    definitions_option(parser)


def asked(given: argparse.Namespace) -> bool:
    """Whether any of these options is on the command line."""
    return any((given.tree, given.bytes, given.format, given.fields, given.options, given.filter is not None))


class Printer:
    """What the options ask for: a format, a filter, the dissector of both. Raises UsageError."""

    def __init__(self, given: argparse.Namespace, definitions: Registry, out: TextIO) -> None:
        from qmisniff.dissect import Dissector
        from qmisniff.export import Detail, open_format

        kind = given.format or "text"
        if (given.fields or given.options) and kind not in ("fields", "csv"):
            raise UsageError("-e and -E go with -T fields and -T csv")
        fields, layout = tuple(given.fields or ()), tuple(given.options or ())
        detail = Detail(tree=given.tree, bytes=given.bytes, fields=fields, options=layout)
        self.dissector = Dissector(definitions)
        self.chosen: Filter | None = None
        if given.filter is not None:
            from qmisniff.filter import compile_filter

            self.chosen = compile_filter(given.filter, definitions)
        self.format = open_format(kind, self.dissector, out, detail)


class LivePrinter:
    """Prints frames while they come, in memory that does not grow with them."""

    def __init__(self, printer: Printer) -> None:
        from qmisniff.tracker.window import Window

        self._printer = printer
        self._window = Window()
        self._begun = False

    def print(self, frames: Iterable[Frame]) -> None:
        """Print those that pass the filter, and let them be seen. Raises BrokenPipeError."""
        printer = self._printer
        printed = False
        for frame in frames:
            if not self._begun:
                self._begun = True
                printer.format.begin(frame.ts_ns)
            context = self._window.add(frame)
            if printer.chosen is None or printer.chosen.matches(frame, context, printer.dissector):
                printer.format.write(frame, context)
                printed = True
        if printed:
            sys.stdout.flush()

    def close(self) -> None:
        """Print what ends the document. Raises BrokenPipeError."""
        self._printer.format.close()
        sys.stdout.flush()
