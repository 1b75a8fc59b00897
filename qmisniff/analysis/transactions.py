# SPDX-License-Identifier: GPL-2.0-or-later
"""Every request with its response: how long it took, what it said, which were never answered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.names import Names, frame_column, message_column, service_columns, time_column
from qmisniff.analysis.packets import NONE, end_text, packets
from qmisniff.analysis.rows import Cancel, Rows, never, numbers, partners
from qmisniff.analysis.table import Table
from qmisniff.dissect import Dissector
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import I4, I8, U4, U8, Mask
from qmisniff.protocol.errors import ERRORS
from qmisniff.store import Store


class Transactions(NamedTuple):
    """One element a request, in order of capture."""

    request: I8  # row
    response: I8  # row, -1 never answered
    ts_ns: I8  # of the request, since 1970
    time_ns: I8  # from request to response; means nothing without one
    service: I8  # -1 unknown
    msgid: I4
    result: I4  # of the response, 0 is success; -1 unknown
    error: I4
    client: U8  # addresses as in Packets
    server: U8
    task: U4  # who asked: Store.tasks

    @property
    def answered(self) -> Mask:
        """Those with a response."""
        return np.asarray(self.response != NONE)


def transactions(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Transactions:
    """The transactions of which the request or the response is among the rows. Raises Cancelled."""
    rows = numbers(rows)
    others = partners(store, rows)
    there = others[others != NONE]
    if len(there) and not np.array_equal(rows[np.searchsorted(rows, there).clip(max=len(rows) - 1)], there):
        rows = np.union1d(rows, there)
    found = packets(store, dissector, rows, cancel)
    asked = found.take(np.flatnonzero(found.kind == qmi.REQUEST))
    response = np.where(asked.partner > asked.row, asked.partner, NONE)
    # Where the responses are among the packets; unanswered ones point anywhere.
    place = np.minimum(np.searchsorted(found.row, response), max(len(found.row) - 1, 0))
    there = found.row[place] == response
    return Transactions(
        asked.row,
        response,
        asked.ts_ns,
        np.where(there, found.ts_ns[place] - asked.ts_ns, 0),
        asked.service,
        asked.msgid,
        np.where(there, found.result[place], np.int32(NONE)),
        np.where(there, found.error[place], np.int32(NONE)),
        asked.client,
        asked.server,
        asked.task,
    )


def transactions_table(found: Transactions, names: Names) -> Table:
    """Never answered ones on top, then the slowest."""
    answered = found.answered
    # `failed` without a number in the error word is a failure too.
    error = np.where(found.result > 0, found.error, np.where(found.result == 0, -2, NONE))

    def state(number: int) -> str:
        return "" if number < 0 else f"{number} {ERRORS.get(number, 'UNKNOWN')}"

    outcome = np.where(answered, np.where(found.result > 0, 1, np.where(found.result == 0, 0, 2)), 3)
    columns = (
        frame_column("request", "Request", found.request),
        *service_columns(found.service, names),
        message_column(found.service, found.msgid, np.zeros(len(found.msgid), bool), names),
        table.seconds("response_time", "Time", found.time_ns, answered, np.inf),
        table.labels("outcome", "Outcome", outcome, ("ok", "failed", "answered", "unanswered")),
        table.named("error", "Error", error, state),
        table.named("process", "Process", found.task, names.task),
        time_column("time", "Since start", found.ts_ns, names),
        frame_column("response", "Response", found.response),
        table.named("client", "Client", found.client, end_text),
        table.named("server", "Server", found.server, end_text),
    )

    def condition(at: int) -> str:
        request, response = int(found.request[at]) + 1, int(found.response[at]) + 1
        return f"frame.number in {{{request}, {response}}}" if response else f"frame.number == {request}"

    return Table(columns, found.request, ("response_time", True), condition)
