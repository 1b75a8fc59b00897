# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff stats`: questions about a whole capture, answered as a table."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from qmisniff.cli.files import open_input
from qmisniff.cli.verbs import Verbs, definitions_option, registry
from qmisniff.errors import UsageError
from qmisniff.printable import plain

if TYPE_CHECKING:
    from qmisniff.analysis.table import Table
    from qmisniff.dissect import Dissector
    from qmisniff.store import Store

SUBJECTS = {  # in qmisniff.analysis.tables, which needs numpy
    "summary": "packets, bytes, times, rates, losses, services, requests and errors: one row, a line each as text",
    "services": "who offers what, since when, and the traffic of each",
    "lookups": "who looked for a service, and did not find it",
    "nodes": "the processors",
    "transactions": "every request with its response, time and error; unanswered ones first",
    "conversations": "which client talks to which service, by process",
    "messages": "by service and message: counts, bytes, errors, response times",
    "problems": "whatever is wrong or remarkable, grouped",
    "values": "the numbers of one field (-e) over time",
}
_FORMATS = ("text", "json", "csv")
_NOTES = "subjects:\n" + "\n".join(f"  {name:<14} {what}" for name, what in SUBJECTS.items())


def add(verbs: Verbs) -> None:
    """Add the verb."""
    added = verbs.add(
        stats,
        "print statistics of a capture",
        "qmisniff stats modem.pcapng summary",
        "qmisniff stats modem.pcapng services",
        "qmisniff stats modem.pcapng transactions -Y 'qmi.service == nas' | head",
        "qmisniff stats modem.pcapng messages -T csv > messages.csv",
        "qmisniff stats modem.pcapng values -e qmi.nas.get_signal_info.lte.rsrp -T json",
        notes=_NOTES,
    )
    added.add_argument("file", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument("subject", metavar="SUBJECT", choices=SUBJECTS, help="what to tell about: see above")
    added.add_argument("-Y", dest="filter", metavar="FILTER", help="count only packets that pass a display filter")
    added.add_argument("-T", dest="format", choices=_FORMATS, default="text", help="output format")
    added.add_argument("-e", dest="field", metavar="FIELD", help="the field of `values`")
    definitions_option(added)


def stats(options: argparse.Namespace) -> int:
    """`qmisniff stats`: print a table about a capture."""
    from qmisniff.analysis import table
    from qmisniff.cli.progress import Progress
    from qmisniff.dissect import Dissector
    from qmisniff.filter import compile_filter
    from qmisniff.store import Store
    from qmisniff.store.load import Loader, PipeReader

    if (options.field is not None) != (options.subject == "values"):
        raise UsageError("-e names the field of the subject `values`", "stats FILE values -e FIELD")
    with open_input(options.file) as stream, registry(options) as definitions:
        dissector = Dissector(definitions)
        chosen = None if options.filter is None else compile_filter(options.filter, definitions)
        reader = Loader(stream, options.file) if stream.seekable() else PipeReader(stream, options.file)
        store = Store()
        rows: list[int] | range
        with Progress(sys.stderr, sys.stdout) as progress:
            if isinstance(reader, Loader):
                for loaded in reader.into(store):
                    progress.at("reading", loaded)
            else:
                store.extend(reader)
            rows = range(len(store))
            if chosen is not None:
                rows = []
                for found in chosen.rows(store, dissector):
                    rows += found.rows
                    progress.at("filtering", found.stop, len(store))
            progress.at("counting", len(rows))
            dropped = reader.dropped if chosen is None else 0
            answer = _answer(options, store, dissector, rows, dropped)
        order = table.sorted_rows(answer, *answer.sort).tolist()
        text = table.record_lines if options.subject == "summary" else table.text_lines
        lines = {"text": text, "json": table.json_lines, "csv": table.csv_lines}[options.format]
        for line in lines(answer, order):
            print(line)
    if reader.damage:
        print(f"qmisniff: {plain(reader.damage)}", file=sys.stderr)
        return 1
    return 0


def _answer(
    options: argparse.Namespace, store: Store, dissector: Dissector, rows: list[int] | range, dropped: int
) -> Table:
    from qmisniff.analysis.names import Names
    from qmisniff.analysis.rows import never
    from qmisniff.analysis.summary import summary, summary_table
    from qmisniff.analysis.tables import SUBJECTS
    from qmisniff.analysis.values import values, values_table

    names = Names(store, dissector.registry)
    if options.subject == "values":
        return values_table(values(store, dissector, options.field, rows), names)
    if options.subject == "summary":
        return summary_table(summary(store, dissector, rows, dropped), names)
    return SUBJECTS[options.subject](store, dissector, rows, never)
