# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole capture in a few numbers, as Wireshark's capinfos has them, and what is said of QMI in it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.messages import count_messages
from qmisniff.analysis.names import Names
from qmisniff.analysis.packets import packets
from qmisniff.analysis.rows import Cancel, Rows, never, numbers, pieces, times
from qmisniff.analysis.table import Cell, Column, Table
from qmisniff.dissect import Dissector
from qmisniff.dissect.frame_layer import time_text
from qmisniff.frame import Link
from qmisniff.store import Store

_LINKS = {
    Link.QRTR: "QRTR",
    Link.QMUX: "QMUX",
    Link.QMI: "QMI",
    Link.MBIM: "MBIM",
    Link.USBMON: "usbmon",
    Link.USBMON_MMAPPED: "usbmon",
    Link.USBPCAP: "USBPcap",
    Link.OTHER: "other",
}


class Summary(NamedTuple):
    """Times are nanoseconds since 1970; 0 where there are no packets."""

    packets: int
    bytes: int
    captured: int  # bytes
    cut: int  # packets of which bytes are missing
    lost: int  # packets
    first_ns: int
    last_ns: int
    links: tuple[tuple[str, int], ...]  # what packets are, how many of them; most frequent first
    interfaces: tuple[str, ...]
    services: tuple[int, ...]
    requests: int
    responses: int
    indications: int
    unanswered: int
    errors: int


def summary(store: Store, dissector: Dissector, rows: Rows, dropped: int = 0, cancel: Cancel = never) -> Summary:
    """The summary of these rows. `dropped` is what the file says was lost, if that is more than its packets say.
    Raises Cancelled."""
    size = captured = cut = lost = 0
    links: Counter[str] = Counter()
    origins: set[int] = set()
    for columns, places in pieces(store, rows, cancel):
        lengths, whole = columns.length[places].astype(np.int64), columns.orig_len[places].astype(np.int64)
        size, captured, cut = size + int(whole.sum()), captured + int(lengths.sum()), cut + int((lengths < whole).sum())
        lost += sum(columns.lost[places].tolist())
        for link, count in enumerate(np.bincount(columns.link[places]).tolist()):
            if count:
                links[_LINKS[Link(link)]] += count
        origins |= set(np.unique(columns.origin[places]).tolist())
    found = packets(store, dissector, rows, cancel)
    counted = count_messages(store, found)
    ts = times(store, numbers(rows))
    return Summary(
        packets=len(ts),
        bytes=size,
        captured=captured,
        cut=cut,
        lost=max(lost, dropped),
        first_ns=int(ts.min()) if len(ts) else 0,
        last_ns=int(ts.max()) if len(ts) else 0,
        links=tuple(links.most_common()),
        interfaces=tuple(sorted({store.origins[number].name for number in origins} - {""})),
        services=tuple(np.unique(found.service[found.service >= 0]).tolist()),
        requests=int(counted.requests.sum()),
        responses=int(counted.responses.sum()),
        indications=int(counted.indications.sum()),
        unanswered=int(counted.unanswered.sum()),
        errors=int(counted.errors.sum()),
    )


def summary_table(found: Summary, names: Names) -> Table:
    """A table of one row."""
    span, some = (found.last_ns - found.first_ns) / 1e9, found.packets > 0
    columns = (
        _count("packets", "Packets", found.packets),
        _count("bytes", "Bytes", found.bytes),
        _count("captured", "Captured bytes", found.captured),
        _count("cut", "Cut short", found.cut),
        _count("lost", "Lost packets", found.lost),
        _text("first", "First packet", time_text(found.first_ns) if some else ""),
        _text("last", "Last packet", time_text(found.last_ns) if some else ""),
        _column("duration", "Duration", span if some else None, f"{span:.6f} s" if some else ""),
        _rate("packet_rate", "Packets a second", found.packets, span),
        _rate("byte_rate", "Bytes a second", found.bytes, span),
        _text("link_types", "Link types", ", ".join(f"{name} ({count:,})" for name, count in found.links)),
        _text("interfaces", "Interfaces", ", ".join(found.interfaces)),
        _text("services", "Services", ", ".join(map(names.service, found.services))),
        _count("requests", "Requests", found.requests),
        _count("responses", "Responses", found.responses),
        _count("indications", "Indications", found.indications),
        _count("unanswered", "Unanswered", found.unanswered),
        _count("errors", "Errors", found.errors),
    )
    return Table(columns, np.zeros(1, np.int64), ("packets", False), lambda at: "frame")


def _column(name: str, title: str, value: Cell, text: str) -> Column:
    return Column(name, title, lambda row: value, lambda row: text, lambda: np.zeros(1))


def _count(name: str, title: str, count: int) -> Column:
    return table.numbers(name, title, np.array([count]))


def _text(name: str, title: str, text: str) -> Column:
    return _column(name, title, text or None, text)


def _rate(name: str, title: str, count: int, span: float) -> Column:
    """How many a second, where they span any time."""
    return _column(name, title, count / span if span else None, f"{count / span:,.1f}" if span else "")
