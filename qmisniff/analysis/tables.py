# SPDX-License-Identifier: GPL-2.0-or-later
"""Every subject that a capture can be asked about, by the name it has on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qmisniff.analysis.conversations import conversations, conversations_table
from qmisniff.analysis.messages import messages, messages_table
from qmisniff.analysis.names import Names
from qmisniff.analysis.problems import Problems, problems, problems_table
from qmisniff.analysis.rows import Cancel, Rows
from qmisniff.analysis.service_tables import lookups_table, nodes_table, offers_table
from qmisniff.analysis.services import services
from qmisniff.analysis.table import Table
from qmisniff.analysis.transactions import transactions, transactions_table
from qmisniff.dissect import Dissector
from qmisniff.store import Store

Subject = Callable[[Store, Dissector, Rows, Cancel], Table]


def _services(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return offers_table(services(store, dissector, rows, cancel).offers, Names(store, dissector.registry))


def _lookups(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return lookups_table(services(store, dissector, rows, cancel).lookups, Names(store, dissector.registry))


def _nodes(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return nodes_table(services(store, dissector, rows, cancel).nodes, Names(store, dissector.registry))


def _transactions(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return transactions_table(transactions(store, dissector, rows, cancel), Names(store, dissector.registry))


def _conversations(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return conversations_table(conversations(store, dissector, rows, cancel), Names(store, dissector.registry))


def _messages(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    return messages_table(messages(store, dissector, rows, cancel), Names(store, dissector.registry))


def _problems(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel) -> Table:
    found = Problems()
    for part in problems(store, dissector, rows, cancel):
        found.add(part)
    return problems_table(found.groups)


SUBJECTS: Mapping[str, Subject] = {
    "services": _services,
    "lookups": _lookups,
    "nodes": _nodes,
    "transactions": _transactions,
    "conversations": _conversations,
    "messages": _messages,
    "problems": _problems,
}
