# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics by service and message: how many, how large, how often they fail, how long they take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.groups import group, quantiles
from qmisniff.analysis.names import Names, message_column, of_service, service_columns
from qmisniff.analysis.packets import NONE, Packets, packets
from qmisniff.analysis.rows import Cancel, Rows, never, times
from qmisniff.analysis.table import Column, Table
from qmisniff.dissect import Dissector
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I4, I8, Mask, Numbers
from qmisniff.store import Store


class Messages(NamedTuple):
    """One element a message of a service (an indication is one of its own), in order of first appearance.

    Times are nanoseconds from request to response, NaN without any. Datagrams that are no QMI message count together,
    `msgid` -1.
    """

    service: I8  # -1 unknown
    msgid: I4
    indication: Mask
    first: I8  # row
    requests: I8
    responses: I8
    indications: I8
    packets: I8
    bytes: I8
    errors: I8
    unanswered: I8
    least_ns: Numbers
    median_ns: Numbers
    p95_ns: Numbers
    most_ns: Numbers


def messages(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Messages:
    """Statistics of these rows. A time counts where the response is among them. Raises Cancelled."""
    return count_messages(store, packets(store, dissector, rows, cancel))


def count_messages(store: Store, found: Packets) -> Messages:
    """The same of packets that are there already."""
    request, response = found.kind == qmi.REQUEST, found.kind == qmi.RESPONSE
    indication = found.kind == qmi.INDICATION
    groups = group(found.service, found.msgid, indication)
    timed = response & (found.partner != NONE) & (found.partner < found.row)
    spent = np.zeros(len(found.row), np.int64)
    spent[timed] = found.ts_ns[timed] - times(store, found.partner[timed])
    return Messages(
        found.service[groups.first],
        found.msgid[groups.first],
        indication[groups.first],
        found.row[groups.first],
        groups.counts(request),
        groups.counts(response),
        groups.counts(indication),
        groups.counts(),
        groups.totals(found.size),
        groups.counts(found.failed),
        groups.counts(request & (found.partner == NONE)),
        quantiles(groups, spent, timed, 0),
        quantiles(groups, spent, timed, 0.5),
        quantiles(groups, spent, timed, 0.95),
        quantiles(groups, spent, timed, 1),
    )


def members(found: Packets, counted: Messages, at: int) -> Mask:
    """Which of the packets were counted as this message."""
    same = (found.service == counted.service[at]) & (found.msgid == counted.msgid[at])
    return np.asarray(same & ((found.kind == qmi.INDICATION) == counted.indication[at]))


def messages_table(found: Messages, names: Names) -> Table:
    """The most frequent on top."""
    columns = (
        *service_columns(found.service, names),
        message_column(found.service, found.msgid, found.indication, names),
        table.numbers("packets", "Packets", found.packets),
        table.numbers("errors", "Errors", found.errors),
        table.numbers("unanswered", "Unanswered", found.unanswered),
        _time("time_median", "Median", found.median_ns),
        _time("time_p95", "p95", found.p95_ns),
        _time("time_max", "Max", found.most_ns),
        _time("time_min", "Min", found.least_ns),
        table.numbers("bytes", "Bytes", found.bytes),
        table.numbers("requests", "Requests", found.requests),
        table.numbers("responses", "Responses", found.responses),
        table.numbers("indications", "Indications", found.indications),
    )

    def condition(at: int) -> str:
        service, msgid = int(found.service[at]), int(found.msgid[at])
        if msgid == NONE:
            return f"not qmi.type and {of_service(service)}"
        kind = "==" if found.indication[at] else "!="
        of = f"qmi.service == {service}" if service != NONE else "not qmi.service"
        return f"{of} and qmi.msgid == 0x{msgid:04x} and qmi.type {kind} {qmi.INDICATION}"

    return Table(columns, found.first, ("packets", True), condition)


def _time(name: str, title: str, ns: Numbers) -> Column:
    return table.seconds(name, title, ns, ~np.isnan(ns), -np.inf)
