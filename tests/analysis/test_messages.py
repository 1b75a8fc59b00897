# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics by message against counting one frame after the other."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given

from qmisniff.analysis.messages import Messages, messages, messages_table
from qmisniff.analysis.names import Names
from qmisniff.filter import compile_filter
from qmisniff.store import Store
from tests.analysis.traffic import Seen, captures, dissector, few, filled, read, with_payload
from tests.tui.conversation import conversation


def members(seen: list[Seen]) -> dict[tuple[int, int, bool], list[Seen]]:
    groups: dict[tuple[int, int, bool], list[Seen]] = defaultdict(list)
    for each in seen:
        groups[each.service, each.msgid, each.kind == 2].append(each)
    return groups


@few
@given(captures())
def test_statistics_are_those_of_the_frames(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    found = messages(store, dissector(), rows)
    expected = []
    for (service, msgid, indication), seen in members(read(store, rows)).items():
        contexts = [store.context(each.row) for each in seen]
        spent = [context.response_ns for context in contexts if context.response_ns is not None]
        unanswered = [c for c, each in zip(contexts, seen, strict=True) if each.kind == 0 and c.response is None]
        times = np.percentile(spent, (0, 50, 95, 100)).tolist() if spent else [None] * 4
        kinds = [sum(each.kind == kind for each in seen) for kind in (0, 1, 2)]
        size = sum(store.frame(each.row).orig_len for each in seen)
        errors = sum(each.kind == 1 and each.result > 0 for each in seen)
        expected.append(
            [service, msgid, indication, seen[0].row, *kinds, len(seen), size, errors, len(unanswered), *times]
        )
    assert [[plain(column[at]) for column in found] for at in range(len(found.service))] == expected


def plain(value: float) -> float | None:
    number = value.item() if isinstance(value, np.generic) else value
    return None if number != number else number


@few
@given(captures())
def test_conditions_pass_what_was_counted(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    everything = list(range(len(store)))
    found = messages(store, dissector(), everything)
    table = messages_table(found, Names(store, dissector().registry))
    groups = list(members(read(store, everything)).values())
    for at in range(table.length):
        chosen = compile_filter(table.condition(at), dissector().registry)
        passed = [row for part in chosen.rows(store, dissector()) for row in part.rows]
        assert with_payload(store, passed) == with_payload(store, [seen.row for seen in groups[at]])


def test_indications_have_a_line_and_a_title_of_their_own() -> None:
    store = filled(conversation())
    table = messages_table(messages(store, dissector(), range(len(store))), Names(store, dissector().registry))
    assert [table.column("message").text(row) for row in range(table.length)] == [
        "Get IDs",
        "Get Serving System",
        "Signal Info",
    ]
    assert [table.column("time_max").text(row) for row in range(table.length)] == ["2.50 ms", "1.25 ms", ""]


def test_no_rows_give_no_statistics() -> None:
    found = messages(Store(), dissector(), [])
    assert isinstance(found, Messages) and all(len(column) == 0 for column in found)
