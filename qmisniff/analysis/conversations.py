# SPDX-License-Identifier: GPL-2.0-or-later
"""Who talks to whom: a client, a service, and what went between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.groups import Groups, group
from qmisniff.analysis.names import Names, of_service, service_columns, time_column
from qmisniff.analysis.packets import NONE, OTHER, Packets, end_condition, end_text, is_qmux, packets
from qmisniff.analysis.rows import Cancel, Rows, never
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I8, U8, Mask, Numbers
from qmisniff.store import Store


class Conversations(NamedTuple):
    """One element for two addresses and a service, in order of first appearance.

    The client is who asks or is answered in the first message; without a QMI message, who sent first. A program's port
    can be given to another one later: `client_tasks` then are several.
    """

    client: U8  # addresses as in Packets
    server: U8
    service: I8  # -1 unknown
    first: I8  # row
    last: I8  # row
    first_ns: I8
    last_ns: I8
    packets: I8
    bytes: I8
    sent: I8  # packets from the client
    received: I8
    requests: I8
    responses: I8
    indications: I8
    errors: I8
    unanswered: I8
    client_tasks: list[tuple[int, ...]]  # Store.tasks of what the client sent
    server_tasks: list[tuple[int, ...]]  # and the server, where it is a program of this processor


def conversations(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Conversations:
    """The conversations of these rows. Raises Cancelled."""
    found = packets(store, dissector, rows, cancel)
    groups = _groups(found)
    client = _client(found, groups)
    ends = found.source[groups.first], found.target[groups.first]
    server = np.where(ends[0] == client, ends[1], ends[0])
    sent = found.source == client[groups.of]
    request = found.kind == qmi.REQUEST
    return Conversations(
        client,
        server,
        found.service[groups.first],
        found.row[groups.first],
        groups.last(found.row),
        found.ts_ns[groups.first],
        groups.last(found.ts_ns),
        groups.counts(),
        groups.totals(found.size),
        groups.counts(sent),
        groups.counts(~sent),
        groups.counts(request),
        groups.counts(found.kind == qmi.RESPONSE),
        groups.counts(found.kind == qmi.INDICATION),
        groups.counts(found.failed),
        groups.counts(request & (found.partner == NONE)),
        tasks_of(groups, found.task, sent & found.own),
        tasks_of(groups, found.task, ~sent & found.own),
    )


def _groups(found: Packets) -> Groups:
    return group(np.minimum(found.source, found.target), np.maximum(found.source, found.target), found.service)


def _client(found: Packets, groups: Groups) -> U8:
    """The client of each group."""
    client = found.client[groups.first]
    message = np.flatnonzero(found.kind != OTHER)
    # Written backwards: of equal places the first message's stays.
    client[groups.of[message[::-1]]] = found.client[message[::-1]]
    return client


def tasks_of(groups: Groups, task: Numbers, which: Mask) -> list[tuple[int, ...]]:
    """The different tasks of each group's marked elements, in order of first appearance."""
    of, task = groups.of[which], task[which]
    pairs = group(of, task)
    result: list[list[int]] = [[] for _ in groups.first]
    for at in pairs.first.tolist():
        result[of[at]].append(int(task[at]))
    return [tuple(each) for each in result]


def conversations_table(found: Conversations, names: Names) -> Table:
    """The busiest on top."""
    columns = (
        table.named("client", "Client", found.client, end_text),
        table.texts("client_processes", "Process", [names.tasks(each) for each in found.client_tasks]),
        *service_columns(found.service, names),
        table.named("server", "Server", found.server, end_text),
        table.numbers("packets", "Packets", found.packets),
        table.numbers("errors", "Errors", found.errors),
        table.numbers("unanswered", "Unanswered", found.unanswered),
        table.numbers("bytes", "Bytes", found.bytes),
        table.numbers("requests", "Requests", found.requests),
        table.numbers("responses", "Responses", found.responses),
        table.numbers("indications", "Indications", found.indications),
        table.numbers("sent", "Sent", found.sent),
        table.numbers("received", "Received", found.received),
        time_column("first", "First", found.first_ns, names),
        time_column("last", "Last", found.last_ns, names),
        table.texts("server_processes", "Server process", [names.tasks(each) for each in found.server_tasks]),
    )

    def condition(at: int) -> str:
        ends = end_condition(int(found.client[at]), int(found.server[at]))
        return ends if is_qmux(int(found.client[at])) else f"{of_service(int(found.service[at]))} and ({ends})"

    return Table(columns, found.first, ("packets", True), condition)
