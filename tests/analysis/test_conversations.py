# SPDX-License-Identifier: GPL-2.0-or-later
"""Who talks to whom, against going through the frames one by one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given

from qmisniff.analysis.conversations import conversations, conversations_table
from qmisniff.analysis.follow import same_conversation, same_transaction
from qmisniff.analysis.names import Names
from qmisniff.filter import compile_filter
from qmisniff.frame import Direction, Hook
from qmisniff.store import Store
from tests.analysis.traffic import Seen, captures, dissector, end_name, few, filled, read, with_payload
from tests.tui.conversation import conversation

Key = tuple[frozenset[str], int]


def members(seen: list[Seen]) -> dict[Key, list[Seen]]:
    groups: dict[Key, list[Seen]] = defaultdict(list)
    for each in seen:
        groups[frozenset((each.source, each.target)), each.service].append(each)
    return groups


def client_of(seen: list[Seen]) -> str:
    """Who asks or is answered in the first message; without one, who sent first."""
    one = next((each for each in seen if each.kind != 255), seen[0])
    return one.target if one.kind in (1, 2) else one.source


@few
@given(captures())
def test_conversations_are_those_of_the_frames(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    found = conversations(store, dissector(), rows)
    expected = []
    for (ends, service), seen in members(read(store, rows)).items():
        client = client_of(seen)
        server = next(iter(ends - {client}), client)
        sent = [each for each in seen if each.source == client]
        tasks: tuple[dict[tuple[int, str], None], ...] = {}, {}
        for each in seen:
            frame = store.frame(each.row)
            if frame.direction is not Direction.INBOUND and frame.hook is not Hook.RECEIVED:
                tasks[each.source != client][frame.pid, frame.comm] = None
        kinds = [sum(each.kind == kind for each in seen) for kind in (0, 1, 2)]
        size = sum(store.frame(each.row).orig_len for each in seen)
        errors = sum(each.kind == 1 and each.result > 0 for each in seen)
        unanswered = sum(each.kind == 0 and store.context(each.row).response is None for each in seen)
        times = [store.frame(each.row).ts_ns for each in (seen[0], seen[-1])]
        expected.append((client, server, service, seen[0].row, seen[-1].row, *times, len(seen), size, len(sent),
                         len(seen) - len(sent), *kinds, errors, unanswered, *map(list, tasks)))  # fmt: skip
    made = []
    for at in range(len(found.client)):
        row: list[Any] = [column[at] for column in found]
        one, two, *numbers, ours, theirs = row
        named = ([store.tasks[task] for task in each] for each in (ours, theirs))
        made.append((end_name(int(one)), end_name(int(two)), *(int(each) for each in numbers), *named))
    assert made == expected


@few
@given(captures())
def test_conditions_and_following_find_the_same_packets(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    everything = list(range(len(store)))
    table = conversations_table(conversations(store, dissector(), everything), Names(store, dissector().registry))
    groups = list(members(read(store, everything)).values())
    for at in range(table.length):
        rows = [seen.row for seen in groups[at]]
        chosen = compile_filter(table.condition(at), dissector().registry)
        passed = [row for part in chosen.rows(store, dissector()) for row in part.rows]
        assert with_payload(store, passed) == with_payload(store, rows)
        assert same_conversation(store, dissector(), everything, rows[-1]).tolist() == rows


def test_a_packet_without_conversation_is_followed_alone() -> None:
    store = filled(conversation())
    assert same_conversation(store, dissector(), range(len(store)), 0).tolist() == [0]
    assert same_transaction(store, 0).tolist() == [0]
    assert same_transaction(store, 3).tolist() == same_transaction(store, 2).tolist() == [2, 3]
