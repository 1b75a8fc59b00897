# SPDX-License-Identifier: GPL-2.0-or-later
"""Every request with what became of it, as decoding frame by frame tells."""

from __future__ import annotations

from hypothesis import given

from qmisniff.analysis.names import Names
from qmisniff.analysis.table import sorted_rows
from qmisniff.analysis.transactions import transactions, transactions_table
from qmisniff.filter import compile_filter
from qmisniff.store import Store
from tests import factories as make
from tests.analysis.traffic import captures, dissector, end_name, few, filled, read
from tests.tui.conversation import conversation


@few
@given(captures())
def test_transactions_are_those_of_the_frames(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    everything = {seen.row: seen for seen in read(store, list(range(len(store))))}
    expected = []
    for row, seen in everything.items():
        context = store.context(row)
        answer = None if context.response is None else context.response - 1
        if seen.kind != 0 or not {row, answer} & set(rows):
            continue
        spent = 0 if answer is None else store.frame(answer).ts_ns - store.frame(row).ts_ns
        said = (-1, -1) if answer is None else (everything[answer].result, everything[answer].error)
        expected.append((row, -1 if answer is None else answer, spent, seen.service, seen.msgid, *said, seen.source))
    found = transactions(store, dissector(), rows)
    columns = (found.request, found.response, found.time_ns, found.service, found.msgid, found.result, found.error)
    clients = map(end_name, found.client.tolist())
    assert list(zip(*(column.tolist() for column in columns), clients, strict=True)) == expected


@few
@given(captures())
def test_conditions_pass_the_two_frames(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    found = transactions(store, dissector(), range(len(store)))
    table = transactions_table(found, Names(store, dissector().registry))
    for at in range(table.length):
        chosen = compile_filter(table.condition(at), dissector().registry)
        passed = [row for part in chosen.rows(store, dissector()) for row in part.rows]
        assert passed == [row for row in (found.request[at], found.response[at]) if row >= 0]


def test_unanswered_requests_stand_on_top_then_the_slowest() -> None:
    lost = make.frame(make.qrtr(make.qmi(0, 3, 0x25)), 40)
    store = filled([*conversation(), lost])
    table = transactions_table(transactions(store, dissector(), range(len(store))), Names(store, dissector().registry))
    cells = [[column.text(row) for column in table.shown] for row in sorted_rows(table, *table.sort).tolist()]
    assert cells == [
        ["8", "DMS", "Get IDs", "", "unanswered", "", "qmicli[321]", "0.040000", "", "1:0x4001", "0:10"],
        ["3", "DMS", "Get IDs", "2.50 ms", "ok", "", "qmicli[321]", "0.010000", "4", "1:0x4001", "0:10"],
        ["5", "NAS", "Get Serving System", "1.25 ms", "failed", "94 NOT_SUPPORTED", "qmicli[321]", "0.020000", "6",
         "1:0x4001", "0:11"],
    ]  # fmt: skip


def test_a_response_leads_to_its_request_even_where_only_one_is_shown() -> None:
    store = filled(conversation())
    for rows in ([2], [3], [2, 3]):
        assert transactions(store, dissector(), rows).response.tolist() == [3]
